import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import type { Log } from "../../base/log.js";
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
   * Brings the model to a policy version that the task allows, which stays until the work is done; undefined if none can be had
   * just now. Works with the same version may overlap.
   */
  readonly withVersion: <T>(task: PromptTaskValid, work: (version: number) => Promise<T>) => Promise<T | undefined>;
  readonly sample: (requests: readonly TaskSample[], sampling: SamplingSettings) => Promise<WrittenCompletion[]>;
  readonly maxAttempts: number;
  readonly now: () => number;
  readonly done: (sequences: readonly Sequence[], seconds: number) => void;
}

/** A prompt task as it was sent. @throws DataLoss if the bytes are none */
export const readTask = (bytes: Uint8Array): PromptTaskValid => readRecord(PromptTaskSchema, bytes);

const worker = `${hostname()}/${process.pid}`;

/**
 * Handles one task: samples every prompt, stores the rollout, sends it on. A prompt that cannot be sampled is a recorded
 * outcome; so is the whole task at its last attempt, if this process or its model is at fault. What passes by itself (weights
 * that are not there yet, a store that is away) is never a prompt's failure. A task whose learner has been replaced is
 * dropped. Handling a task twice is harmless: the first stored rollout counts.
 */
export async function sampleTask(
  task: PromptTaskValid,
  { attempt, signal }: Pick<Delivery, "attempt" | "signal">,
  context: SamplerContext,
): Promise<void> {
  const started = context.now();
  const sequences = await sampleWhenReady(task, signal, context).catch((error: unknown) => {
    const { message, disposition } = RetortError.from(error);
    // A bug may be this process's own: another one gets to try, until the last attempt.
    if (disposition === "giveBack" || (disposition === "fail" && attempt < context.maxAttempts)) throw error;
    context.log.warn({ step: task.key.step, task: task.key.task, attempt }, `the task failed for good: ${message}`);
    return samplesOf(task).map((sample) => failedSequence(task, sample, message));
  });
  if (!sequences) return;
  const seconds = (context.now() - started) / 1000;
  await publishRollout(context.streams, rolloutOf(task, sequences, worker, seconds));
  context.done(sequences, seconds);
}

/** Undefined for a task whose learner has been replaced, or is past its step. */
async function sampleWhenReady(task: PromptTaskValid, signal: AbortSignal, context: SamplerContext): Promise<Sequence[] | undefined> {
  // A task that must wait for its version keeps no other from the sampler.
  while (await context.versionExists(task, signal)) {
    const sequences = await context.withVersion(task, (version) => sampleAll(task, version, context));
    if (sequences) return sequences;
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
