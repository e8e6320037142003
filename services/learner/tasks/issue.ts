import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Item } from "../../shared/codec/examples.js";
import { signalFor } from "../../shared/codec/signal-spec.js";
import { toRecord } from "../../shared/flow/arrays.js";
import { type StepPlan, split, taskSeed } from "../../shared/flow/prompts/plan.js";
import { publishTask } from "../../shared/flow/prompts/publish-task.js";
import { publishRollout } from "../../shared/flow/rollouts/publish-rollout.js";
import type { Membership } from "../../shared/flow/runs/membership.js";
import { needsReward, needsScore, type Phase, type SamplingSettings } from "../../shared/flow/runs/resolve.js";
import {
  FinishReason,
  type PromptSchema,
  PromptTaskSchema,
  Purpose,
  RolloutSchema,
  type SequenceSchema,
  type SignalSpecSchema,
  Source,
} from "../../shared/gen/retort/v1/flow_pb.js";
import type { PlannedTask } from "./planned-task.js";

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
 * Hands out the tasks of an optimiser step; issuing a step again is harmless. Returns them in their order.
 *
 * @param attempt the learner's fence: what an earlier learner had issued is issued again, and its results are no longer asked for
 */
export async function issueStep(
  { streams, run, runId }: Membership,
  plan: StepPlan,
  items: readonly Item[],
  attempt: number,
): Promise<PlannedTask[]> {
  const { phase, step } = plan;
  const all = shares(plan.tasks, items, run.teachers, needsScore(phase.objective) ? signalFor(phase.objective) : undefined);
  const rewarded = plan.onPolicy && needsReward(phase.objective);
  const key = (task: number) => ({ runId, purpose: Purpose.TRAIN as const, step, task, attempt });
  const sampling = rewarded ? phase.sampling : withinPrefix(phase);
  const versions = { min: Math.max(0, step - 1 - run.maxStaleness), max: step - 1 };
  const planned = all.map((share, task): PlannedTask => {
    const common = { ...plannedOf(share, key(task)), maxNewTokens: sampling.maxNewTokens, versions, rewarded };
    if (plan.onPolicy) return { ...common, source: Source.STUDENT, samplesPerPrompt: phase.samplesPerPrompt };
    const prefix = phase.objective.prefixTokens;
    const prompts = common.prompts.map((prompt, i) => ({ ...prompt, completionIds: withinTokens(share.items[i]!, prefix) }));
    return { ...common, source: Source.DATASET, samplesPerPrompt: 1, prompts };
  });
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
        sampling,
        seed: taskSeed(run, Purpose.TRAIN, step, task),
        minPolicyVersion: versions.min,
        maxPolicyVersion: versions.max,
        teacher: share.teacher,
        signal: share.signal,
        rewarded,
        deadline: timestampFromMs(Date.now() + run.stepTimeoutMs),
      }),
    );
  }
  return planned;
}

const plannedOf = ({ items, rows, teacher, signal }: Share, key: PlannedTask["key"]) => ({
  key,
  prompts: items.map(({ promptIds }, i) => ({ row: rows[i]!, ids: promptIds })),
  teacher,
  signal: signal && { kind: signal.kind!, k: signal.k ?? 0 },
});

/** The first `prefixTokens` of a row's completion, or all of it for 0. */
function withinTokens({ completionIds }: Item, prefixTokens: number): Int32Array {
  // Steps on the dataset's texts are planned over rows that have one.
  const whole = completionIds!;
  return prefixTokens > 0 ? whole.slice(0, prefixTokens) : whole;
}

/** Where no reward judges the whole completion, what does not count need not be sampled. */
function withinPrefix({ sampling, objective: { prefixTokens } }: Phase): SamplingSettings {
  return prefixTokens ? { ...sampling, maxNewTokens: Math.min(sampling.maxNewTokens, prefixTokens) } : sampling;
}

/** A row of the dataset as a sequence; of its completion the first `prefixTokens`, or all of it for 0. */
function datasetSequence(item: Item, prompt: number, prefixTokens: number): MessageInitShape<typeof SequenceSchema> {
  const { promptIds, promptText, reference } = item;
  const completionIds = withinTokens(item, prefixTokens);
  return {
    prompt,
    promptText,
    reference,
    promptIds: toRecord(promptIds),
    completionIds: toRecord(completionIds),
    finish: completionIds.length < item.completionIds!.length ? FinishReason.LENGTH : FinishReason.STOP,
  };
}

/** A set of prompts to be written once, besides the optimiser steps. */
export interface WriteRequest {
  readonly purpose: Purpose.DATASET | Purpose.EVALUATE;
  readonly step: number;
  /** As in {@link issueStep}; 1 for texts that are kept for the next learner. */
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

/** Hands out prompts to be written by the student at one version, or by a teacher. Returns the tasks in their order. */
export async function issueWriting({ streams, run, runId }: Membership, request: WriteRequest): Promise<PlannedTask[]> {
  const { purpose, step, items, sampling, samplesPerPrompt, sampler, firstTask, scored, attempt } = request;
  const rows = split(
    items.map((_, i) => i),
    request.promptsPerTask,
  );
  const all = shares(rows, items, run.teachers, scored ? request.signal : undefined);
  const planned: PlannedTask[] = [];
  for (const [i, share] of all.entries()) {
    const task = firstTask + i;
    planned.push({
      ...plannedOf(share, { runId, purpose, step, task, attempt }),
      source: sampler ? Source.TEACHER : Source.STUDENT,
      samplesPerPrompt,
      maxNewTokens: sampling.maxNewTokens,
      versions: { min: step, max: step },
      rewarded: request.rewarded,
    });
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
  return planned;
}
