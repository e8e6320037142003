import { deriveSeed, permutation, uniform } from "../../base/random.js";
import type { Purpose } from "../../gen/retort/v1/flow_pb.js";
import { lambdaAt, type Phase, phaseOf, type ResolvedRun, type TrackingSettings } from "../runs/resolve.js";

/** What one optimiser step will train on: a pure function of the run and the step. */
export interface StepPlan {
  readonly step: number;
  readonly phase: Phase;
  /** True: the student writes; false: the dataset's texts are used. */
  readonly onPolicy: boolean;
  /** Dataset rows of each task's prompts. */
  readonly tasks: readonly (readonly number[])[];
}

/** Streams of random numbers that must not be mixed up. */
const streams = { lambda: 1, order: 2, sampling: 3, recording: 4 } as const;

/** The rows that steps are planned over. */
export interface PlanRows {
  readonly count: number;
  /** Those with a completion, where not every row has one: steps on the dataset's texts use no others. */
  readonly completed?: readonly number[];
}

/**
 * Plans a step. Rows are dealt from an order that is shuffled again each epoch: every row once per epoch. Where only some
 * have a completion, steps on the dataset's texts go through these, at their own pace.
 *
 * @param capacity most prompts whose records fit into one message; see taskCapacity of the codec
 */
export function planStep(run: ResolvedRun, { count, completed }: PlanRows, step: number, capacity = Number.POSITIVE_INFINITY): StepPlan {
  const phase = phaseOf(run, step);
  const onPolicy = uniform(run.seed, streams.lambda, step) < lambdaAt(phase, step);
  const pool = onPolicy ? undefined : completed;
  const rows = pool?.length ?? count;
  const first = promptsBefore(run, step);
  const orders = new Map<number, Uint32Array>();
  const dealt = Array.from({ length: phase.batchSize }, (_, i) => {
    const epoch = Math.floor((first + i) / rows);
    const order = orders.get(epoch) ?? permutation(deriveSeed(run.seed, streams.order, epoch), rows);
    orders.set(epoch, order);
    const at = order[(first + i) % rows]!;
    return pool ? pool[at]! : at;
  });
  return { step, phase, onPolicy, tasks: split(dealt, Math.min(capacity, promptsPerTask(run, phase))) };
}

/** Prompts that one student writes together, in one task where its records fit a message: as the spec says, else the batch shared out over the students. */
export function promptsPerTask({ promptsPerTask, replicas }: ResolvedRun, { batchSize }: Phase): number {
  return promptsPerTask || Math.ceil(batchSize / Math.max(1, replicas.student));
}

/** Cuts a list into parts of at most `size`. */
export function split<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
}

function promptsBefore({ phases }: ResolvedRun, step: number): number {
  return phases.reduce(
    (sum, { firstStep, lastStep, batchSize }) => sum + Math.max(0, Math.min(lastStep, step - 1) - firstStep + 1) * batchSize,
    0,
  );
}

/**
 * Which of a step's sequences are recorded, by their places in its batch: drawn by seed and step, so that a run that is
 * repeated records the same. Empty for a step that isn't recorded.
 */
export function recordedMembers({ seed, tracking }: ResolvedRun, step: number, sequences: number): number[] {
  const { samples, everySteps } = tracking;
  if (samples === 0 || (step !== 1 && step % everySteps !== 0)) return [];
  return [...permutation(deriveSeed(seed, streams.recording, step), sequences).slice(0, samples)].sort((a, b) => a - b);
}

/**
 * Which held-out rows' completions are kept at each evaluation. They are drawn by the number of rows alone: runs of any seed keep
 * the same ones, and can be read side by side.
 */
export const recordedRows = ({ tracking }: { readonly tracking: Pick<TrackingSettings, "examples"> }, rows: number): number[] =>
  [...permutation(deriveSeed(0n, streams.recording), rows).slice(0, tracking.examples)].sort((a, b) => a - b);

/** Seed of a task's samples. */
export const taskSeed = (run: ResolvedRun, purpose: Purpose, step: number, task: number): bigint =>
  deriveSeed(run.seed, streams.sampling, purpose, step, task);

/** Seed of sample j of prompt i of a task. */
export const sampleSeed = (taskSeed: bigint, prompt: number, sample: number): bigint => deriveSeed(taskSeed, prompt, sample);
