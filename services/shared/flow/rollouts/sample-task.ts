import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { deferred } from "../../base/deferred.js";
import { RetortError } from "../../base/errors.js";
import type { Log } from "../../base/log.js";
import type { SharedTime } from "../../base/shared-time.js";
import type { Streams } from "../../base/streams/connection.js";
import type { Delivery } from "../../base/streams/consume.js";
import { PromptTaskSchema, type PromptTaskValid, type Sequence } from "../../gen/retort/v1/flow_pb.js";
import { readRecord } from "../read-record.js";
import { resolveSampling, type SamplingSettings } from "../runs/resolve.js";
import { membersOf } from "../together.js";
import { RolloutSender } from "./publish-rollout.js";
import { failedSequence, rolloutOf, samplesOf, type TaskSample, type WrittenCompletion, writtenSequence } from "./sequences.js";

/** What became of a sample: its completion, or why the prompt can't be completed. */
export type Written = WrittenCompletion | { readonly refusal: string };

/** What the sampler needs of its surroundings. */
export interface SamplerContext {
  readonly streams: Streams;
  readonly log: Log;
  /** Waits until a policy version that the task allows exists; false if the task is no longer wanted. */
  readonly versionExists: (task: PromptTaskValid, signal: AbortSignal) => Promise<boolean>;
  /**
   * Brings the model to an allowed policy version, which stays while the work goes on; works under one version may go on side
   * by side. Undefined if no version can be had just now.
   */
  readonly underVersion: <T>(task: PromptTaskValid, work: (version: number) => Promise<T>) => Promise<T | undefined>;
  /** Writes groups of samples together; `onWritten` hears of each group when it is written. */
  readonly write: (
    groups: readonly (readonly TaskSample[])[],
    sampling: SamplingSettings,
    onWritten: (group: number, written: readonly Written[]) => void,
  ) => Promise<void>;
  readonly maxAttempts: number;
  /** What the tasks' seconds are counted by. */
  readonly time: SharedTime;
  readonly done: (sequences: readonly Sequence[], seconds: number) => void;
}

const worker = `${hostname()}/${process.pid}`;

/**
 * Handles a message: samples every prompt of its tasks together, stores the rollout of each task, sends them on. A prompt that
 * cannot be sampled is a recorded outcome; so are whole tasks at their last attempt, if this process or its model is at fault.
 * What passes by itself (weights that are not there yet, a store that is away) is never a prompt's failure. Tasks whose
 * learner has been replaced are dropped. Handling a message twice is harmless: the first stored rollout of a task counts.
 */
export async function sampleTask({ data, attempt, signal }: Delivery, context: SamplerContext): Promise<void> {
  const first = readRecord(PromptTaskSchema, data);
  const tasks = membersOf(first);
  const { step, task } = first.key;
  try {
    // Before it is waited for: a task that must wait keeps no other from the sampler.
    while (await context.versionExists(first, signal)) {
      const written = await context.underVersion(first, (version) => writeTasks(tasks, version, context));
      if (written) return await written.published;
      await sleep(20);
    }
    context.log.info({ step, task }, "a task that is no longer wanted is dropped");
  } catch (thrown) {
    const error = RetortError.from(thrown);
    if (!error.isFinal(attempt, context.maxAttempts)) throw error;
    const { message } = error;
    context.log.warn({ step, task, attempt }, `the task failed for good: ${message}`);
    const outbox = outboxOf(context);
    for (const task of tasks) {
      const failed = samplesOf(task).map((sample) => failedSequence(task, sample, message));
      outbox.add(task, failed, 0);
    }
    await outbox.end();
  }
}

/** Where written tasks go. */
interface Outbox {
  /** Takes a task's sequences. */
  readonly add: (task: PromptTaskValid, sequences: Sequence[], seconds: number) => void;
  /** Resolves when all are stored and sent on. */
  readonly end: () => Promise<void>;
}

function outboxOf({ streams, done }: SamplerContext): Outbox {
  const sender = new RolloutSender(streams);
  const stored: Promise<void>[] = [];
  return {
    add: (task, sequences, seconds) => {
      const one = sender.add(rolloutOf(task, sequences, worker, seconds)).then(() => done(sequences, seconds));
      // They are waited for at the end, or not at all where the sampling fails.
      one.catch(() => {});
      stored.push(one);
    },
    end: async () => void (await Promise.all([sender.end(), ...stored])),
  };
}

/** Writes tasks together and stores each when it is written; returns before all are stored and sent on. */
async function writeTasks(
  tasks: readonly PromptTaskValid[],
  version: number,
  context: SamplerContext,
): Promise<{ readonly published: Promise<void> }> {
  const { sampling, signal } = tasks[0]!;
  const topIds = signal?.kind === "student_top_k" ? { topIds: signal.k } : {};
  const groups = tasks.map((task) => samplesOf(task));
  const written = tasks.map(() => deferred<readonly Written[]>());
  const outbox = outboxOf(context);
  // They come into the outbox in the order in which they are written: it decides which of them are sent on together.
  const taken = tasks.map(async (task, t) => {
    const { result, seconds } = await context.time.of(() => written[t]!.promise);
    const sequences = groups[t]!.map((sample, i) => {
      const outcome = result[i]!;
      return "refusal" in outcome ? failedSequence(task, sample, outcome.refusal) : writtenSequence(task, sample, outcome, version);
    });
    outbox.add(task, sequences, seconds);
  });
  for (const one of taken) one.catch(() => {});
  try {
    await context.write(groups, { ...resolveSampling(sampling), ...topIds }, (group, outcomes) => written[group]!.resolve(outcomes));
  } catch (error) {
    for (const { reject } of written) reject(error);
    throw error;
  }
  await Promise.all(taken);
  const published = outbox.end();
  published.catch(() => {});
  return { published };
}
