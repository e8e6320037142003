import { setTimeout as sleep } from "node:timers/promises";
import type { JsMsg } from "@nats-io/jetstream";
import { RetortError } from "../errors.js";
import type { Log } from "../log.js";
import { isApiError, type Streams } from "./connection.js";

/** A message as its handler sees it. */
export interface Delivery {
  readonly subject: string;
  readonly data: Uint8Array;
  /** 1 for the first delivery. */
  readonly attempt: number;
}

export interface ConsumeOptions {
  readonly stream: string;
  readonly durable: string;
  /** Most messages in hand at a time. */
  readonly concurrency: number;
  /** Handles one message; it may come again after a crash, so doing it twice must be harmless. */
  readonly handler: (delivery: Delivery) => Promise<void>;
  readonly log: Log;
  /** Pause before a message that was given back comes again. Default 1000. */
  readonly retryDelayMs?: number;
}

export interface Consumption {
  /** Stops pulling, and waits until what is in hand is finished or given back. */
  stop(): Promise<void>;
  /** Settles when the consumption ends; rejects if a handler failed in a way that ends the process. */
  readonly done: Promise<void>;
}

/**
 * Pulls from a durable consumer and handles its messages, `concurrency` at a time. A message is acknowledged after its
 * handler; a failed one is dropped, given back or ends the consumption, as its error's disposition says. Long work is
 * reported to the server, so that the message does not go to somebody else meanwhile.
 */
export function consume(streams: Streams, options: ConsumeOptions): Consumption {
  const stopping = new AbortController();
  const inHand = new Set<Promise<void>>();
  let fail: (error: RetortError) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  const loop = async () => {
    while (!stopping.signal.aborted) {
      try {
        await pull(streams, options, stopping.signal, inHand, fail);
      } catch (error) {
        if (stopping.signal.aborted) return;
        if (isApiError(error, "streamNotFound") || isApiError(error, "consumerNotFound")) {
          options.log.debug({ stream: options.stream, durable: options.durable }, "the consumer is gone");
        } else options.log.warn({ err: error }, "pulling failed; trying again");
        await sleep(500);
      }
    }
  };
  const running = loop();
  return {
    done: Promise.race([running, failed]),
    stop: async () => {
      stopping.abort();
      await running;
      await Promise.allSettled(inHand);
    },
  };
}

async function pull(
  streams: Streams,
  options: ConsumeOptions,
  stop: AbortSignal,
  inHand: Set<Promise<void>>,
  fail: (error: RetortError) => void,
): Promise<void> {
  const consumer = await streams.js.consumers.get(options.stream, options.durable);
  while (!stop.aborted) {
    const batch = await consumer.fetch({ max_messages: Math.max(1, options.concurrency - inHand.size), expires: 1000 });
    const onStop = () => batch.stop();
    stop.addEventListener("abort", onStop, { once: true });
    for await (const message of batch) {
      if (stop.aborted) {
        message.nak();
        continue;
      }
      const work = handle(message, options, fail).finally(() => inHand.delete(work));
      inHand.add(work);
    }
    stop.removeEventListener("abort", onStop);
    if (inHand.size >= options.concurrency) await Promise.race(inHand);
  }
}

/** Well below JetStream's default of 30 s until a message counts as lost. */
const heartbeatMs = 8000;

async function handle(
  message: JsMsg,
  { handler, log, retryDelayMs = 1000 }: ConsumeOptions,
  fail: (error: RetortError) => void,
): Promise<void> {
  const heartbeat = setInterval(() => message.working(), heartbeatMs);
  try {
    await handler({ subject: message.subject, data: message.data, attempt: message.info.deliveryCount });
    message.ack();
  } catch (thrown) {
    const error = RetortError.from(thrown);
    const { disposition } = error;
    log.warn({ err: error, subject: message.subject, attempt: message.info.deliveryCount, disposition }, "a message failed");
    if (disposition === "terminate") message.term(error.message);
    else message.nak(retryDelayMs);
    if (disposition === "fail") fail(error);
  } finally {
    clearInterval(heartbeat);
  }
}
