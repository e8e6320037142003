import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Item } from "../shared/codec/examples.js";
import { toRecord } from "../shared/flow/arrays.js";
import { type StepPlan, split, taskSeed } from "../shared/flow/prompts/plan.js";
import { publishTask } from "../shared/flow/prompts/publish-task.js";
import { publishRollout } from "../shared/flow/rollouts/publish-rollout.js";
import type { Membership } from "../shared/flow/runs/membership.js";
import { needsReward, needsScore, type ObjectiveSettings, type Phase, type SamplingSettings } from "../shared/flow/runs/resolve.js";
import {
  FinishReason,
  type PromptSchema,
  PromptTaskSchema,
  Purpose,
  RolloutSchema,
  type SequenceSchema,
  type SignalSpecSchema,
  Source,
} from "../shared/gen/retort/v1/flow_pb.js";
import { hasK } from "../shared/ml/scoring/score.js";

/** Who scores a set of prompts. */
interface Scoring {
  readonly teacher: string;
  readonly signal: MessageInitShape<typeof SignalSpecSchema> | undefined;
}

/** A task to hand out: its prompts, and the teacher that scores them all. */
interface Share extends Scoring {
  readonly items: readonly Item[];
  readonly rows: readonly number[];
}

/** The teacher's answer that an objective needs. */
export const signalFor = (objective: ObjectiveSettings): MessageInitShape<typeof SignalSpecSchema> => ({
  kind: objective.signal,
  k: hasK(objective.signal) ? objective.k : 0,
  temperature: objective.teacherTemperature,
  hiddenDtype: objective.signal === "hidden" ? objective.hiddenDtype : "",
});

/** One task per share of rows that have the same teacher. */
function shares(
  tasks: readonly (readonly number[])[],
  items: readonly Item[],
  teachers: readonly string[],
  signal: Scoring["signal"],
): Share[] {
  return tasks.flatMap((rows) => {
    const byTeacher = new Map<string, number[]>();
    for (const row of rows) {
      const teacher = signal ? items[row]!.teacher || teachers[0]! : "";
      byTeacher.set(teacher, [...(byTeacher.get(teacher) ?? []), row]);
    }
    return [...byTeacher].map(([teacher, own]) => ({ teacher, signal, rows: own, items: own.map((row) => items[row]!) }));
  });
}

const promptRecord = ({ promptIds, promptText, reference }: Item, index: number): MessageInitShape<typeof PromptSchema> => ({
  index,
  ids: toRecord(promptIds),
  text: promptText,
  reference,
});

/**
 * Hands out the tasks of an optimiser step; issuing a step again is harmless. Gives the number of tasks.
 *
 * @param attempt the learner's fence: a learner that takes over issues again what the one before it had issued, and the
 *   server must not take that for duplicates, whose results have been purged
 */
export async function issueStep(
  { streams, run, runId }: Membership,
  plan: StepPlan,
  items: readonly Item[],
  attempt: number,
): Promise<number> {
  const { phase, step } = plan;
  const all = shares(plan.tasks, items, run.teachers, needsScore(phase.objective) ? signalFor(phase.objective) : undefined);
  const rewarded = plan.onPolicy && needsReward(phase.objective);
  const key = (task: number) => ({ runId, purpose: Purpose.TRAIN, step, task, attempt });
  for (const [task, share] of all.entries()) {
    if (!plan.onPolicy) {
      await publishRollout(
        streams,
        create(RolloutSchema, {
          key: key(task),
          source: Source.DATASET,
          teacher: share.teacher,
          signal: share.signal,
          sequences: share.items.map((item, prompt) => datasetSequence(item, prompt, phase.objective.prefixTokens)),
        }),
      );
      continue;
    }
    await publishTask(
      streams,
      create(PromptTaskSchema, {
        key: key(task),
        prompts: share.items.map((item, i) => promptRecord(item, share.rows[i]!)),
        samplesPerPrompt: phase.samplesPerPrompt,
        sampling: rewarded ? phase.sampling : withinPrefix(phase),
        seed: taskSeed(run, Purpose.TRAIN, step, task),
        minPolicyVersion: Math.max(0, step - 1 - run.maxStaleness),
        maxPolicyVersion: step - 1,
        teacher: share.teacher,
        signal: share.signal,
        rewarded,
        deadline: timestampFromMs(Date.now() + run.stepTimeoutMs),
      }),
    );
  }
  return all.length;
}

/** Where no reward judges the whole completion, what does not count need not be sampled. */
function withinPrefix({ sampling, objective: { prefixTokens } }: Phase): SamplingSettings {
  return prefixTokens ? { ...sampling, maxNewTokens: Math.min(sampling.maxNewTokens, prefixTokens) } : sampling;
}

/** A row of the dataset as a sequence; of its completion the first `prefixTokens`, or all of it for 0. */
function datasetSequence(
  { promptIds, promptText, completionIds, reference }: Item,
  prompt: number,
  prefixTokens: number,
): MessageInitShape<typeof SequenceSchema> {
  const common = { prompt, promptText, reference };
  // Steps on the dataset's texts are planned over rows that have one.
  const whole = completionIds!;
  const cut = prefixTokens > 0 && prefixTokens < whole.length;
  return {
    ...common,
    promptIds: toRecord(promptIds),
    completionIds: toRecord(cut ? whole.slice(0, prefixTokens) : whole),
    finish: cut ? FinishReason.LENGTH : FinishReason.STOP,
  };
}

/** A set of prompts to be written once, besides the optimiser steps. */
export interface WriteRequest {
  readonly purpose: Purpose.DATASET | Purpose.EVALUATE;
  readonly step: number;
  /** As of {@link issueStep}; 1 where results are kept for the next learner. */
  readonly attempt: number;
  readonly items: readonly Item[];
  readonly sampling: SamplingSettings;
  readonly samplesPerPrompt: number;
  /** Empty for the student. */
  readonly sampler: string;
  readonly scored: boolean;
  readonly rewarded: boolean;
  readonly firstTask: number;
  readonly promptsPerTask: number;
  readonly signal: MessageInitShape<typeof SignalSpecSchema>;
}

/** Hands out prompts to be written by the student at one version, or by a teacher. Gives the number of tasks. */
export async function issueWriting({ streams, run, runId }: Membership, request: WriteRequest): Promise<number> {
  const { purpose, step, items, sampling, samplesPerPrompt, sampler, firstTask, scored, attempt } = request;
  const rows = split(
    items.map((_, i) => i),
    request.promptsPerTask,
  );
  const all = shares(rows, items, run.teachers, scored ? request.signal : undefined);
  for (const [i, share] of all.entries()) {
    const task = firstTask + i;
    await publishTask(
      streams,
      create(PromptTaskSchema, {
        key: { runId, purpose, step, task, attempt },
        prompts: share.items.map((item, j) => promptRecord(item, share.rows[j]!)),
        samplesPerPrompt,
        sampling,
        seed: taskSeed(run, purpose, step, task),
        minPolicyVersion: step,
        maxPolicyVersion: step,
        sampler,
        teacher: share.teacher,
        signal: share.signal,
        rewarded: request.rewarded,
        deadline: timestampFromMs(Date.now() + run.stepTimeoutMs),
      }),
    );
  }
  return all.length;
}
