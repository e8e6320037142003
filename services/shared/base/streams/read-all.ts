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
  // What a lost connection interrupts is read again from its beginning.
  return outlast(streams, `${stream} (${filter})`, () => collect(streams, stream, filter)).catch((error: unknown) => {
    if (isApiError(error, "streamNotFound")) return [];
    throw error;
  });
}

async function collect(streams: Streams, stream: string, filter: string): Promise<Stored[]> {
  const found: Stored[] = [];
  let end = await lastSequence(streams, stream, filter);
  if (end === 0) return found;
  const consumer = await streams.reads.js.consumers.get(stream, { filter_subjects: [filter], deliver_policy: DeliverPolicy.All });
  const newest = () => found.at(-1)?.sequence ?? 0;
  try {
    while (newest() < end) {
      const before = newest();
      for await (const { seq, subject, data, info } of await consumer.fetch({ max_messages: together, expires: patienceMs })) {
        found.push({ sequence: seq, subject, data, time: new Date(info.timestampNanos / 1e6) });
        if (seq >= end) break;
      }
      if (newest() > before) continue;
      // What was at the end may have been taken away meanwhile.
      end = await lastSequence(streams, stream, filter);
      // Or the server that keeps the reader is lost: another one is asked for.
      if (newest() < end) throw new RetortError("Unavailable", `nothing came of ${stream} within ${patienceMs} ms`);
    }
  } finally {
    await consumer.delete().catch(() => {});
  }
  return found;
}
