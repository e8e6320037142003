import { RetortError } from "../../base/errors.js";
import { deriveSeed, permutation, uniform } from "../../base/random.js";
import type { Purpose } from "../../gen/retort/v1/flow_pb.js";
import { lambdaAt, needsScore, type ObjectiveSettings, type Phase, phaseOf, type ResolvedRun } from "../runs/resolve.js";

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
const streams = { lambda: 1, order: 2, sampling: 3 } as const;

/** The rows that steps are planned over. */
export interface PlanRows {
  readonly count: number;
  /** Those with a completion, where not every row has one: steps on the dataset's texts use no others. */
  readonly completed?: readonly number[];
}

/**
 * Plans a step. Rows are dealt from an order that is shuffled anew each epoch: every row once per epoch. Where only some
 * have a completion, steps on the dataset's texts go through these, at their own pace.
 *
 * @param capacity most prompts whose records fit into one message; see {@link taskCapacity}
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

/** Prompts of one task: as the spec says, else the batch shared out over the students. */
export function promptsPerTask({ promptsPerTask, replicas }: ResolvedRun, { batchSize }: Phase): number {
  return promptsPerTask || Math.ceil(batchSize / Math.max(1, replicas.student));
}

/** What decides the size of a task's largest record, the teacher's score. */
export interface RecordSize {
  readonly vocabSize: number;
  /** Widest hidden state of the run's teachers; 0 if none is sent. */
  readonly hiddenSize: number;
  /** Longest completion, in tokens. */
  readonly maxTokens: number;
  /** Largest message that the NATS server takes. */
  readonly maxPayloadBytes: number;
}

/** Share of a message that the arrays may take; the rest is for texts and framing. */
const payloadShare = 0.9;

/**
 * Most prompts of one task whose records fit into a message.
 *
 * @throws InvalidArgument if not even one prompt's do, with the way out
 */
export function taskCapacity({ objective, samplesPerPrompt }: Phase, size: RecordSize): number {
  const { vocabSize, hiddenSize, maxTokens, maxPayloadBytes } = size;
  const { signal, k } = objective;
  const perToken = needsScore(objective) ? scoreBytes(objective, { vocabSize, hiddenSize }) : 0;
  // Ids, log-probabilities and versions travel in the rollout, and with them the classes that the student chose.
  const rollout = 16 + (signal === "student_top_k" ? 4 * k : 0);
  const perPrompt = samplesPerPrompt * maxTokens * Math.max(perToken, rollout);
  const capacity = Math.floor((payloadShare * maxPayloadBytes) / perPrompt);
  if (capacity >= 1) return capacity;
  throw new RetortError(
    "InvalidArgument",
    `one prompt's teacher scores may take ${perPrompt} bytes (${samplesPerPrompt} samples × ${maxTokens} tokens × ${perToken} bytes), more than NATS's max_payload of ${maxPayloadBytes}; use objective.signal: top_k, fewer samplesPerPrompt or a smaller sampling.maxNewTokens`,
    { fieldPath: "phases.objective.signal" },
  );
}

/** Most bytes of a teacher's answer per token. */
function scoreBytes(
  { signal, k, hiddenDtype }: ObjectiveSettings,
  { vocabSize, hiddenSize }: Pick<RecordSize, "vocabSize" | "hiddenSize">,
): number {
  const bytes: { readonly [Kind in ObjectiveSettings["signal"]]: number } = {
    full: 4 * vocabSize + 4,
    hidden: (hiddenDtype === "float16" ? 2 : 4) * hiddenSize,
    // Ids and counts of the different classes.
    random_k: 6 * Math.min(k, vocabSize) + 8,
    sampled: 4,
    student_top_k: 4 * k + 8,
    top_k: 8 * k + 8,
  };
  return bytes[signal];
}

/** Most prompts whose arrays of `perPromptBytes` each fit into a message. */
export const promptsPerMessage = (perPromptBytes: number, { maxPayloadBytes }: Pick<RecordSize, "maxPayloadBytes">): number =>
  Math.floor((payloadShare * maxPayloadBytes) / perPromptBytes);

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

/** Seed of a task's samples. */
export const taskSeed = (run: ResolvedRun, purpose: Purpose, step: number, task: number): bigint =>
  deriveSeed(run.seed, streams.sampling, purpose, step, task);

/** Seed of sample j of prompt i of a task. */
export const sampleSeed = (taskSeed: bigint, prompt: number, sample: number): bigint => deriveSeed(taskSeed, prompt, sample);
