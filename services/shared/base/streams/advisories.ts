import type { Streams } from "./connection.js";

/** A message that the server gave up delivering. */
export interface Exhausted {
  readonly stream: string;
  readonly durable: string;
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly deliveries: number;
}

interface MaxDeliveriesAdvisory {
  readonly stream: string;
  readonly consumer: string;
  readonly stream_seq: number;
  readonly deliveries: number;
}

/**
 * Calls back for each message that reached its consumer's `max_deliver` without an answer: one that kills every worker that takes
 * it. Such a message stays in its stream for ever, so record its outcome, then {@link discard} it. Advisories reach only
 * those who listen at the time.
 *
 * @returns a function that stops listening
 */
export function onExhausted(streams: Streams, stream: string, handler: (message: Exhausted) => Promise<void>): () => void {
  const subscription = streams.connection.subscribe(`$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.${stream}.*`, {
    callback: (refused, advisory) => {
      // The connection tells of it (Streams.denied).
      if (refused) return;
      const { consumer: durable, stream_seq: sequence, deliveries } = advisory.json<MaxDeliveriesAdvisory>();
      const found = streams.manager.streams.getMessage(stream, { seq: sequence });
      // Without a message, it was answered or purged after all. The handler's own failure is an unhandled rejection: the process fails.
      const gone = () => null;
      found
        .catch(gone)
        .then((message) => message && handler({ stream, durable, sequence, subject: message.subject, data: message.data, deliveries }));
    },
  });
  return () => subscription.unsubscribe();
}

/** Deletes one message of a stream; harmless if it is gone. */
export async function discard(streams: Streams, stream: string, sequence: number): Promise<void> {
  await streams.manager.streams.deleteMessage(stream, sequence, false).catch((error: Error) => {
    if (!/no message found|sequence/i.test(error.message)) throw error;
  });
}
