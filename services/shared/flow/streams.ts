import { AckPolicy, DiscardPolicy, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { RetortError } from "../base/errors.js";
import { isApiError, type Streams } from "../base/streams/connection.js";
import { ensureConsumer, ensureStream, purge, removeConsumer } from "../base/streams/ensure.js";
import { outlast } from "../base/streams/outlast.js";
import { subjects } from "./subjects.js";

/** Names of the streams, in the order of the flow. */
export const streamNames = {
  prompts: "RETORT_PROMPTS",
  rollouts: "RETORT_ROLLOUTS",
  results: "RETORT_RESULTS",
  events: "RETORT_EVENTS",
  ledger: "RETORT_LEDGER",
} as const;

/** The durable consumers of a run. */
export const durables = {
  student: (runId: string): string => `student-${runId}`,
  writer: (runId: string, teacher: string): string => `writer-${runId}-${teacher}`,
  teacher: (runId: string, teacher: string): string => `teacher-${runId}-${teacher}`,
  reward: (runId: string): string => `reward-${runId}`,
} as const;

const gibibyte = 1024 ** 3;
const file = { storage: StorageType.File } as const;

/** The streams. A full one refuses new records until older ones are consumed: publishers wait, nothing is dropped. */
const definitions = [
  {
    ...file,
    name: streamNames.prompts,
    subjects: ["retort.prompts.>"],
    retention: RetentionPolicy.Workqueue,
    discard: DiscardPolicy.New,
    max_bytes: gibibyte,
  },
  {
    ...file,
    name: streamNames.rollouts,
    subjects: ["retort.rollouts.>"],
    retention: RetentionPolicy.Interest,
    discard: DiscardPolicy.New,
    max_bytes: 2 * gibibyte,
  },
  {
    ...file,
    name: streamNames.results,
    subjects: ["retort.results.>"],
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    // Exactly once without a time window: the first result of a task stays, every later one is refused.
    max_msgs_per_subject: 1,
    discard_new_per_subject: true,
    max_bytes: 8 * gibibyte,
  },
  {
    ...file,
    name: streamNames.events,
    subjects: ["retort.events.>"],
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    max_bytes: gibibyte,
  },
  {
    ...file,
    name: streamNames.ledger,
    subjects: ["retort.ledger.>"],
    retention: RetentionPolicy.Limits,
    // What became of a sample is never forgotten while its run is kept.
    discard: DiscardPolicy.New,
    max_bytes: gibibyte / 2,
  },
] as const;

/** The smallest share of their sizes with which the streams are still of use: 64 MiB of results. */
const smallestShare = 1 / 128;

/**
 * Makes the streams; harmless if they exist, and those keep their sizes. On a server (or account) whose storage is
 * smaller than they are, they are made smaller, and leave half of it to the weights.
 *
 * @throws ResourceExhausted if the storage is too small for any use
 */
export async function ensureStreams(streams: Streams): Promise<void> {
  const made = new Set<string>();
  const copies = streams.replicas ? { num_replicas: streams.replicas } : {};
  const attempt = async (share: number): Promise<boolean> => {
    for (const { subjects: own, max_bytes, ...definition } of definitions) {
      const config = { ...definition, ...copies, subjects: [...own] };
      const size = { max_bytes: Math.floor(max_bytes * share) };
      try {
        if (await ensureStream(streams, config, size, made.has(definition.name))) made.add(definition.name);
      } catch (error) {
        if (isTooSmall(error)) return false;
        throw isApiError(error, "notClustered") || isApiError(error, "noPeers") ? tooFewServers(streams, error as Error) : error;
      }
    }
    return true;
  };
  if (await attempt(1)) return;
  // Those that were made take the room: they shrink with the rest, and once more for the weights.
  for (let share = 1 / 2; share >= smallestShare; share /= 2) if (await attempt(share)) return void (await attempt(share / 2));
  throw new RetortError("ResourceExhausted", "the NATS server's JetStream storage is too small; give it 256 MiB or more (max_file_store)", {
    retry: "never",
  });
}

/** A server, an account, or the servers that are to keep a copy, have no room for a stream's size. */
const isTooSmall = (error: unknown): boolean =>
  isApiError(error, "insufficientStorage") || isApiError(error, "accountResourcesExceeded") || isApiError(error, "noPeerWithRoom");

const tooFewServers = ({ replicas }: Streams, cause: Error): RetortError =>
  new RetortError(
    "FailedPrecondition",
    `--nats-replicas is ${replicas}, and NATS isn't a cluster of so many servers with JetStream (${cause.message}); leave it out, or add servers`,
    { cause },
  );

/** {@link ensureStreams}, and buckets that are there already are brought to the connection's replicas, where it says how many. */
export async function ensureStorage(streams: Streams): Promise<void> {
  await ensureStreams(streams);
  await ensureReplicas(streams);
}

/** Buckets of ours: key-value stores, and weights. */
const ourBuckets = /^(KV_retort_|OBJ_retort_weights_)/;

/** A bucket of records is then read from the server that leads it, since others may be behind. */
async function ensureReplicas(streams: Streams): Promise<void> {
  const { replicas, manager } = streams;
  if (replicas === undefined) return;
  // A cluster's list of streams leaves out those whose servers are slow to answer; the names are complete.
  for await (const name of manager.streams.names()) {
    if (!ourBuckets.test(name)) continue;
    const { config } = await outlast(streams, name, () => manager.streams.info(name));
    if (config.num_replicas === replicas) continue;
    const read = name.startsWith("KV_") ? { allow_direct: replicas === 1 } : {};
    await outlast(streams, name, () => manager.streams.update(name, { num_replicas: replicas, ...read }));
  }
}

/** Who takes part in a run, as far as its consumers depend on it. */
export interface RunConsumers {
  readonly runId: string;
  readonly teachers: readonly string[];
  readonly rewarded: boolean;
  readonly maxAttempts: number;
}

/** A lost worker's task goes to another after this; a live one shows itself three times as often. */
const ackWaitNanos = 15e9;

/**
 * How often the server delivers a record that no worker answers for: more often than a worker may try it, since a worker
 * that was killed, stopped or cut off says nothing about what it held.
 */
export const mostDeliveries = (maxAttempts: number): number => maxAttempts + 5;

/** Makes a run's consumers: before the first record, since a rollout without a consumer would vanish. */
export async function ensureRun(streams: Streams, { runId, teachers, rewarded, maxAttempts }: RunConsumers): Promise<void> {
  const common = {
    ack_policy: AckPolicy.Explicit,
    ack_wait: ackWaitNanos,
    max_deliver: mostDeliveries(maxAttempts),
    max_ack_pending: 1000,
  };
  const consumer = (stream: string, durable_name: string, filter_subject: string) =>
    ensureConsumer(streams, stream, { ...common, durable_name, filter_subject });
  await consumer(streamNames.prompts, durables.student(runId), subjects.prompts(runId, ""));
  for (const teacher of teachers) {
    await consumer(streamNames.prompts, durables.writer(runId, teacher), subjects.prompts(runId, teacher));
    await consumer(streamNames.rollouts, durables.teacher(runId, teacher), subjects.rollouts(runId, teacher));
  }
  if (rewarded) await consumer(streamNames.rollouts, durables.reward(runId), subjects.rollouts(runId));
}

/**
 * Takes away what an earlier learner of a run had issued and what became of it: the learner with this fence issues its steps
 * again. Texts that a teacher has written for the dataset stay.
 */
export async function purgeEarlier(streams: Streams, runId: string, fence: bigint): Promise<void> {
  await purge(streams, streamNames.prompts, subjects.prompts(runId, ""));
  await purge(streams, streamNames.rollouts, subjects.rollouts(runId));
  for (let earlier = 1; earlier < Number(fence); earlier++) await purge(streams, streamNames.results, subjects.resultsOf(runId, earlier));
}

/** Takes away a run's consumers and records, its events and its ledger excepted. */
export async function removeRun(streams: Streams, { runId, teachers }: RunConsumers): Promise<void> {
  await removeConsumer(streams, streamNames.prompts, durables.student(runId));
  await removeConsumer(streams, streamNames.rollouts, durables.reward(runId));
  for (const teacher of teachers) {
    await removeConsumer(streams, streamNames.prompts, durables.writer(runId, teacher));
    await removeConsumer(streams, streamNames.rollouts, durables.teacher(runId, teacher));
  }
  await purge(streams, streamNames.prompts, `retort.prompts.${runId}.>`);
  await purge(streams, streamNames.rollouts, `retort.rollouts.${runId}.>`);
  await purge(streams, streamNames.results, subjects.results(runId));
}

/** Takes away all that the streams hold of a run, its events and its ledger too, and its consumers, whatever its spec says. */
export async function deleteRun(streams: Streams, runId: string): Promise<void> {
  for (const [stream, flow] of [
    [streamNames.prompts, "prompts"],
    [streamNames.rollouts, "rollouts"],
  ] as const) {
    const own: string[] = [];
    for await (const { name, config } of streams.manager.consumers.list(stream))
      if (config.filter_subject?.startsWith(`retort.${flow}.${runId}.`)) own.push(name);
    for (const name of own) await removeConsumer(streams, stream, name);
    await purge(streams, stream, `retort.${flow}.${runId}.>`);
  }
  await purge(streams, streamNames.results, subjects.results(runId));
  await purge(streams, streamNames.events, subjects.events(runId));
  await purge(streams, streamNames.ledger, subjects.accounts(runId)).catch((error: unknown) => {
    if (!isApiError(error, "streamNotFound")) throw error;
  });
}
