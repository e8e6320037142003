import { DeliverPolicy } from "@nats-io/jetstream";
import { isApiError, type Streams } from "./connection.js";

/** A stored message, as read without taking it away. */
export interface Stored {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly time: Date;
}

/**
 * Reads what a stream holds under a subject filter, in order, from a sequence on, and follows it until the signal.
 * It survives reconnects: it goes on after the last message it gave.
 */
export async function* follow(
  streams: Streams,
  stream: string,
  filter: string,
  fromSequence: number,
  signal: AbortSignal,
): AsyncGenerator<Stored> {
  const consumer = await streams.js.consumers.get(stream, {
    filter_subjects: [filter],
    ...(fromSequence > 1
      ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: fromSequence }
      : { deliver_policy: DeliverPolicy.All }),
  });
  const messages = await consumer.consume({ max_messages: 64 });
  const stop = () => messages.stop();
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const message of messages) {
      if (signal.aborted) return;
      yield { sequence: message.seq, subject: message.subject, data: message.data, time: new Date(message.info.timestampNanos / 1e6) };
    }
  } finally {
    signal.removeEventListener("abort", stop);
    await messages.close();
  }
}

/** The last message of a subject, if there is one. */
export async function lastMessage(streams: Streams, stream: string, subject: string): Promise<Uint8Array | undefined> {
  const message = await streams.manager.streams.getMessage(stream, { last_by_subj: subject }).catch((error: Error) => {
    if (isApiError(error, "noMessageFound")) return null;
    throw error;
  });
  return message?.data;
}
