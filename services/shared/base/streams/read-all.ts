import { DeliverPolicy } from "@nats-io/jetstream";
import { isApiError, type Streams } from "./connection.js";
import { outlast } from "./outlast.js";
import type { Stored } from "./read.js";

/** Everything that a stream holds under a subject filter now, in order. A stream that isn't there holds nothing. */
export function readAll(streams: Streams, stream: string, filter: string): Promise<Stored[]> {
  // What a lost connection interrupts is read again from its beginning.
  return outlast(streams, `${stream} (${filter})`, () => collect(streams, stream, filter)).catch((error: unknown) => {
    if (isApiError(error, "streamNotFound")) return [];
    throw error;
  });
}

async function collect(streams: Streams, stream: string, filter: string): Promise<Stored[]> {
  const found: Stored[] = [];
  const consumer = await streams.js.consumers.get(stream, { filter_subjects: [filter], deliver_policy: DeliverPolicy.All });
  if ((await consumer.info()).num_pending === 0) return found;
  const messages = await consumer.consume();
  for await (const { seq, subject, data, info } of messages) {
    found.push({ sequence: seq, subject, data, time: new Date(info.timestampNanos / 1e6) });
    if (info.pending === 0) break;
  }
  messages.stop();
  await consumer.delete().catch(() => {});
  return found;
}
