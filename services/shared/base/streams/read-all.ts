import { DeliverPolicy } from "@nats-io/jetstream";
import { RetortError } from "../errors.js";
import { isApiError, type Streams } from "./connection.js";
import { outlast } from "./outlast.js";
import { lastSequence, type Stored } from "./read.js";

/** How long the end of what is to be read may take to come before it is asked for again, in milliseconds. */
const patienceMs = 2000;

/** Messages that are on their way at once. */
const together = 256;

/**
 * Everything that a stream holds under a subject filter now, in order. A stream that isn't there holds nothing.
 *
 * Where several servers keep a stream, a reader may be beside one that is behind: what it has isn't all. So the leader says where
 * the end is, and that is waited for.
 */
export function readAll(streams: Streams, stream: string, filter: string): Promise<Stored[]> {
  const found: Stored[] = [];
  // What a lost connection interrupts goes on behind what has come.
  return outlast(streams, `${stream} (${filter})`, () => collect(streams, stream, filter, found)).catch((error: unknown) => {
    if (isApiError(error, "streamNotFound")) return [];
    throw error;
  });
}

async function collect(streams: Streams, stream: string, filter: string, found: Stored[]): Promise<Stored[]> {
  const newest = () => found.at(-1)?.sequence ?? 0;
  let quietSince = Date.now();
  // What was at the end may have been taken away meanwhile.
  for (let end = await lastSequence(streams, stream, filter); newest() < end; end = await lastSequence(streams, stream, filter)) {
    const before = newest();
    await readOn(streams, stream, filter, end, found);
    if (newest() > before) quietSince = Date.now();
    else if (Date.now() - quietSince > streams.patienceMs)
      throw new RetortError("Unavailable", `nothing has come of ${stream} for ${streams.patienceMs} ms`);
  }
  return found;
}

/** Reads on behind what has come, to the end, or until nothing comes: then the server that keeps the reader may be lost, and another one is asked for. */
async function readOn(streams: Streams, stream: string, filter: string, end: number, found: Stored[]): Promise<void> {
  const newest = () => found.at(-1)?.sequence ?? 0;
  const start = { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: newest() + 1 };
  const consumer = await streams.reads.js.consumers.get(stream, { filter_subjects: [filter], ...start });
  try {
    for (let before = -1; before < newest() && newest() < end; ) {
      before = newest();
      for await (const { seq, subject, data, info } of await consumer.fetch({ max_messages: together, expires: patienceMs })) {
        found.push({ sequence: seq, subject, data, time: new Date(info.timestampNanos / 1e6) });
        if (seq >= end) break;
      }
    }
  } finally {
    await consumer.delete().catch(() => {});
  }
}
