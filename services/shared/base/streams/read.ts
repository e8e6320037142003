import { setTimeout as sleep } from "node:timers/promises";
import { type ConsumerMessages, DeliverPolicy, type MsgRequest, type NextMsgRequest, type SeqMsgRequest } from "@nats-io/jetstream";
import { RetortError } from "../errors.js";
import { isApiError, isDenied, type Streams } from "./connection.js";
import { outlast } from "./outlast.js";

/** A stored message, as read without taking it away. */
export interface Stored {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly time: Date;
}

/**
 * Reads what a stream holds under a subject filter, in order, from a sequence on, and follows it until the signal.
 * Each message comes once: after an outage it goes on behind the last message it gave.
 *
 * @throws FailedPrecondition if there is no such stream, PermissionDenied if the user may not read it
 */
export async function* follow(
  streams: Streams,
  stream: string,
  filter: string,
  fromSequence: number,
  signal: AbortSignal,
): AsyncGenerator<Stored> {
  let next = Math.max(1, fromSequence);
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      for await (const stored of followWhileLive(streams, stream, filter, next, signal)) {
        next = stored.sequence + 1;
        failures = 0;
        yield stored;
      }
      // It ended without an error: what fails next is the first failure.
      failures = 0;
    } catch (error) {
      if (isApiError(error, "streamNotFound"))
        throw new RetortError("FailedPrecondition", `there is no stream ${stream}`, { cause: error });
      if (isDenied(error)) throw error;
      // An outage passes, however long it takes; anything else has a minute at most.
      if (RetortError.from(error).disposition !== "giveBack" && failures > 30) throw error;
    }
    await sleep(Math.min(2000, 50 * 2 ** Math.min(failures, 6)), undefined, { signal }).catch(() => {});
  }
}

/** How long a quiet server may take to show that it still knows its reader. */
const heartbeatMs = 2500;

async function* followWhileLive(
  streams: Streams,
  stream: string,
  filter: string,
  next: number,
  signal: AbortSignal,
): AsyncGenerator<Stored> {
  const start = { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: next };
  const consumer = await streams.live(() => streams.reads.js.consumers.get(stream, { filter_subjects: [filter], ...start }), heartbeatMs);
  const messages = await consumer.consume({ max_messages: 64, idle_heartbeat: heartbeatMs, expires: 6 * heartbeatMs });
  const stop = () => messages.stop();
  // The reader lives in the server's memory: after an outage it must be made again.
  const forget = streams.onLost(stop);
  void stopWhenSilent(messages);
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const message of messages) {
      if (signal.aborted) return;
      yield { sequence: message.seq, subject: message.subject, data: message.data, time: new Date(message.info.timestampNanos / 1e6) };
    }
  } finally {
    signal.removeEventListener("abort", stop);
    forget();
    stop();
    // The server also forgets it by itself after a while.
    streams.live(() => consumer.delete(), 0).catch(() => {});
  }
}

/** Stops reading when nobody keeps the reader any more: its server may be lost, and then the client would ask after it for ever. */
async function stopWhenSilent(messages: ConsumerMessages): Promise<void> {
  for await (const { type } of messages.status()) if (type === "heartbeats_missed") messages.stop();
}

/** The last message of a subject, if there is one. */
export async function lastMessage(streams: Streams, stream: string, subject: string): Promise<Uint8Array | undefined> {
  return (await last(streams, stream, subject))?.data;
}

/** The first message that is left of a subject, if there is one. */
export async function firstMessage(streams: Streams, stream: string, subject: string): Promise<Uint8Array | undefined> {
  const next: SeqMsgRequest & NextMsgRequest = { seq: 1, next_by_subj: subject };
  return (await found(streams, stream, subject, next))?.data;
}

/** The sequence number of a subject's last message; 0 if there is none. */
export async function lastSequence(streams: Streams, stream: string, subject: string): Promise<number> {
  return (await last(streams, stream, subject))?.seq ?? 0;
}

const last = (streams: Streams, stream: string, subject: string) => found(streams, stream, subject, { last_by_subj: subject });

async function found(streams: Streams, stream: string, subject: string, which: MsgRequest) {
  const ask = () => streams.reads.manager.streams.getMessage(stream, which);
  return outlast(streams, subject, ask).catch((error: Error) => {
    if (isApiError(error, "noMessageFound")) return null;
    throw error;
  });
}
