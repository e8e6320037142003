import { create } from "@bufbuild/protobuf";
import {
  FinishReason,
  type PromptTask,
  type Rollout,
  RolloutSchema,
  type Sequence,
  SequenceSchema,
  Source,
} from "../../gen/retort/v1/flow_pb.js";
import { toInt32, toRecord } from "../arrays.js";
import { sampleSeed } from "../prompts/plan.js";

/** A completion as a sampler gives it. */
export interface WrittenCompletion {
  readonly ids: Int32Array;
  readonly logprobs: Float32Array;
  /** [N, k]: the most probable tokens at each position, where they were asked for. */
  readonly topIds?: Int32Array;
  /** Of several turns, the last one's. */
  readonly text: string;
  readonly finish: "stop" | "length";
  /** What an environment did, where there is one. */
  readonly episode?: WrittenEpisode;
}

/** What an environment had to do with a completion of several turns. */
export interface WrittenEpisode {
  /** In rising order of `at`, the completion tokens before it. */
  readonly replies: readonly { readonly at: number; readonly ids: Int32Array; readonly text: string }[];
  /** Sum over the turns. */
  readonly reward: number;
}

/** One sample that a task asks for. */
export interface TaskSample {
  /** What is written behind: of a teacher, the prompt that it reads. */
  readonly promptIds: Int32Array;
  readonly seed: bigint;
  readonly prompt: number;
  readonly sample: number;
  /** The task that it belongs to. */
  readonly task: PromptTask;
}

/** The samples of a task, prompt by prompt. */
export function samplesOf(task: PromptTask): TaskSample[] {
  return task.prompts.flatMap((prompt, i) => {
    const promptIds = toInt32((task.sampler && prompt.teacherPromptIds) || prompt.ids, `prompt ${i}`);
    return Array.from({ length: task.samplesPerPrompt }, (_, sample) => ({
      prompt: i,
      sample,
      task,
      promptIds,
      seed: sampleSeed(task.seed, i, sample),
    }));
  });
}

/** The sequence of a sample that was written with one policy version. */
export function writtenSequence(
  task: PromptTask,
  { prompt, sample }: TaskSample,
  completion: WrittenCompletion,
  version: number,
): Sequence {
  const { text, reference, index, ids, teacherPromptIds, teacherEndId } = task.prompts[prompt]!;
  return create(SequenceSchema, {
    prompt,
    sample,
    index,
    promptText: text,
    reference,
    completionText: completion.text,
    ...(ids && { promptIds: ids }),
    ...(teacherPromptIds && { teacherPromptIds }),
    ...(teacherEndId === undefined ? {} : { teacherEndId }),
    completionIds: toRecord(completion.ids),
    samplerLogprobs: toRecord(completion.logprobs),
    studentTopIds:
      completion.topIds && toRecord(completion.topIds, [completion.ids.length, completion.topIds.length / completion.ids.length]),
    policyVersions: toRecord(new Uint32Array(completion.ids.length).fill(version)),
    finish: completion.finish === "stop" ? FinishReason.STOP : FinishReason.LENGTH,
    ...(completion.episode && {
      replies: completion.episode.replies.map((reply) => ({ ...reply, ids: toRecord(reply.ids) })),
      environmentReward: completion.episode.reward,
    }),
  });
}

/** The sequence of a sample that could not be written: a recorded outcome. */
export function failedSequence(task: PromptTask, { prompt, sample }: Pick<TaskSample, "prompt" | "sample">, failure: string): Sequence {
  const { text, reference, index } = task.prompts[prompt]!;
  return create(SequenceSchema, { prompt, sample, index, promptText: text, reference, failure });
}

/** The rollout of a task. */
export function rolloutOf(task: PromptTask, sequences: Sequence[], worker: string, seconds: number): Rollout {
  const { key, teacher, teacherVersion, signal, rewarded, sampler } = task;
  return create(RolloutSchema, {
    key,
    source: sampler ? Source.TEACHER : Source.STUDENT,
    sequences,
    teacher,
    ...(teacherVersion !== undefined && { teacherVersion }),
    signal,
    rewarded,
    worker,
    seconds,
  });
}
