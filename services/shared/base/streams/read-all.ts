import { DeliverPolicy } from "@nats-io/jetstream";
import { RetortError } from "../errors.js";
import { isApiError, type Streams } from "./connection.js";
import { outlast } from "./outlast.js";
import { lastMessage, lastSequence, type Stored } from "./read.js";

/** How long the end of what is to be read may take to come before it is asked for again, in milliseconds. */
const patienceMs = 2000;

/**
 * Everything that a stream holds under a subject filter now, in order. A stream that isn't there holds nothing.
 *
 * Where several servers keep a stream, a reader may be beside one that is behind: what it has isn't all. So the leader says where
 * the end is, and that is waited for.
 */
export function readAll(streams: Streams, stream: string, filter: string): Promise<Stored[]> {
  const found: Stored[] = [];
  const collect = async () => {
    // What a lost connection interrupts goes on behind what has come.
    for await (const message of read(streams, stream, filter, { behind: found.at(-1)?.sequence })) found.push(message);
    return found;
  };
  return unlessAbsent(outlast(streams, `${stream} (${filter})`, collect), []);
}

/**
 * The newest message of each subject under a filter, by subject, of a stream that keeps one for each. What is written again while it is read
 * comes twice, if it is read on, or not at all: it is behind the end. So the leader says which subjects there are.
 */
export async function readNewest(streams: Streams, stream: string, filter: string): Promise<Map<string, Uint8Array>> {
  const { manager } = streams.reads;
  const subjects = async () => (await manager.streams.info(stream, { subjects_filter: filter })).state.subjects ?? {};
  const there = await unlessAbsent(outlast(streams, `${stream} (${filter})`, subjects), {});
  const newest = new Map((await readAll(streams, stream, filter)).map(({ subject, data }) => [subject, data]));
  for (const subject of Object.keys(there)) {
    const data = newest.get(subject) ?? (await lastMessage(streams, stream, subject));
    if (data) newest.set(subject, data);
  }
  return newest;
}

const unlessAbsent = <T>(reading: Promise<T>, otherwise: T): Promise<T> =>
  reading.catch((error: unknown) => {
    if (isApiError(error, "streamNotFound")) return otherwise;
    throw error;
  });

/** What is read, and how. */
interface Reading {
  /** The sequence number behind which it begins. Default 0. */
  readonly behind?: number | undefined;
  /** Messages that are on their way at once, which memory holds; the next ones come when these are taken. Default 256. */
  readonly together?: number;
}

/** As {@link readAll}, message by message. @throws Unavailable if nothing comes for longer than the connection's patience */
export async function* read(
  streams: Streams,
  stream: string,
  filter: string,
  { behind = 0, together = 256 }: Reading = {},
): AsyncGenerator<Stored> {
  let newest = behind;
  let end = await lastSequence(streams, stream, filter);
  for (let quietSince = Date.now(); newest < end; ) {
    const before = newest;
    for await (const message of readOn(streams, stream, filter, { behind: newest, end, together })) {
      newest = message.sequence;
      yield message;
    }
    if (newest > before) quietSince = Date.now();
    else if (Date.now() - quietSince > streams.patienceMs)
      throw new RetortError("Unavailable", `nothing has come of ${stream} for ${streams.patienceMs} ms`);
    // What was at the end may have been taken away meanwhile.
    if (newest < end) end = await lastSequence(streams, stream, filter);
  }
}

/** Reads on to the end, or until nothing comes: then the server that keeps the reader may be lost, and another one is asked for. */
async function* readOn(
  streams: Streams,
  stream: string,
  filter: string,
  { behind, end, together }: { readonly behind: number; readonly end: number; readonly together: number },
): AsyncGenerator<Stored> {
  const start = { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: behind + 1 };
  const consumer = await streams.reads.js.consumers.get(stream, { filter_subjects: [filter], ...start });
  try {
    for (let newest = behind, before = -1; before < newest && newest < end; ) {
      before = newest;
      for await (const { seq, subject, data, info } of await consumer.fetch({ max_messages: together, expires: patienceMs })) {
        newest = seq;
        yield { sequence: seq, subject, data, time: new Date(info.timestampNanos / 1e6) };
        if (seq >= end) break;
      }
    }
  } finally {
    await consumer.delete().catch(() => {});
  }
}
