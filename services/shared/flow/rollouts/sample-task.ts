import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import type { Log } from "../../base/log.js";
import type { SharedTime } from "../../base/shared-time.js";
import type { Streams } from "../../base/streams/connection.js";
import type { Delivery } from "../../base/streams/consume.js";
import { PromptTaskSchema, type PromptTaskValid, type Sequence } from "../../gen/retort/v1/flow_pb.js";
import { readRecord } from "../read-record.js";
import { resolveSampling, type SamplingSettings } from "../runs/resolve.js";
import { publishRollout } from "./publish-rollout.js";
import { failedSequence, rolloutOf, samplesOf, type TaskSample, type WrittenCompletion, writtenSequence } from "./sequences.js";

/** What the sampler needs of its surroundings. */
export interface SamplerContext {
  readonly streams: Streams;
  readonly log: Log;
  /** Waits until a policy version that the task allows exists; false if nobody waits for the task any more. */
  readonly versionExists: (task: PromptTaskValid, signal: AbortSignal) => Promise<boolean>;
  /**
   * Brings the model to an allowed policy version, which stays while the work goes on; tasks of one version may be worked on
   * side by side. Undefined if no version can be had just now.
   */
  readonly underVersion: <T>(task: PromptTaskValid, work: (version: number) => Promise<T>) => Promise<T | undefined>;
  readonly sample: (requests: readonly TaskSample[], sampling: SamplingSettings) => Promise<WrittenCompletion[]>;
  readonly maxAttempts: number;
  /** What the tasks' seconds are counted by. */
  readonly time: SharedTime;
  readonly done: (sequences: readonly Sequence[], seconds: number) => void;
}

/** The sequences of a task, and the seconds that they took. */
type Sampled = Awaited<ReturnType<typeof SharedTime.prototype.of<Sequence[]>>>;

const worker = `${hostname()}/${process.pid}`;

/**
 * Handles one task: samples every prompt, stores the rollout, sends it on. A prompt that cannot be sampled is a recorded
 * outcome; so is the whole task at its last attempt, if this process or its model is at fault. What passes by itself (weights
 * that are not there yet, a store that is away) is never a prompt's failure. A task whose learner has been replaced is
 * dropped. Handling a task twice is harmless: the first stored rollout counts.
 */
export async function sampleTask({ data, attempt, signal }: Delivery, context: SamplerContext): Promise<void> {
  const task = readRecord(PromptTaskSchema, data);
  const sampled = await sampleWhenReady(task, signal, context).catch((error: unknown) => {
    const { message, disposition } = RetortError.from(error);
    // A bug may be this process's own: another one gets to try, until the last attempt.
    if (disposition === "giveBack" || (disposition === "fail" && attempt < context.maxAttempts)) throw error;
    context.log.warn({ step: task.key.step, task: task.key.task, attempt }, `the task failed for good: ${message}`);
    return { result: samplesOf(task).map((sample) => failedSequence(task, sample, message)), seconds: 0 };
  });
  if (!sampled) return;
  const { result: sequences, seconds } = sampled;
  await publishRollout(context.streams, rolloutOf(task, sequences, worker, seconds));
  context.done(sequences, seconds);
}

/** What came of a task; undefined for one whose learner has been replaced, or is past its step. */
async function sampleWhenReady(task: PromptTaskValid, signal: AbortSignal, context: SamplerContext): Promise<Sampled | undefined> {
  // Beforehand: a task that must wait keeps no other from the sampler.
  while (await context.versionExists(task, signal)) {
    const sampled = await context.underVersion(task, (version) => context.time.of(() => sampleAll(task, version, context)));
    if (sampled) return sampled;
    await sleep(20);
  }
  context.log.info({ step: task.key.step, task: task.key.task }, "a task that nobody waits for any more is dropped");
  return undefined;
}

async function sampleAll(task: PromptTaskValid, version: number, context: SamplerContext): Promise<Sequence[]> {
  const { signal } = task;
  const topIds = signal?.kind === "student_top_k" ? { topIds: signal.k } : {};
  const sampling = { ...resolveSampling(task.sampling), ...topIds };
  const samples = samplesOf(task);
  try {
    const completions = await context.sample(samples, sampling);
    return samples.map((sample, i) => writtenSequence(task, sample, completions[i]!, version));
  } catch (error) {
    if (RetortError.from(error).code !== "InvalidArgument") throw error;
    // One prompt is at fault: each alone, so that the others are not lost with it.
    const sequences: Sequence[] = [];
    for (const sample of samples) sequences.push(await sampleOne(task, sample, sampling, version, context));
    return sequences;
  }
}

async function sampleOne(
  task: PromptTaskValid,
  sample: TaskSample,
  sampling: SamplingSettings,
  version: number,
  context: SamplerContext,
): Promise<Sequence> {
  try {
    const [completion] = await context.sample([sample], sampling);
    return writtenSequence(task, sample, found(completion, "the sampler's completion"), version);
  } catch (error) {
    const known = RetortError.from(error);
    if (known.code !== "InvalidArgument") throw error;
    return failedSequence(task, sample, known.message);
  }
}
