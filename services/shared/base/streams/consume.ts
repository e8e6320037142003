import { setTimeout as sleep } from "node:timers/promises";
import type { JsMsg } from "@nats-io/jetstream";
import { millis } from "@nats-io/transport-node";
import { RetortError } from "../errors.js";
import type { Log } from "../log.js";
import { traced, traceOf } from "../tracing.js";
import { isApiError, isDenied, type Streams } from "./connection.js";

/** A message as its handler sees it. */
export interface Delivery {
  readonly subject: string;
  readonly data: Uint8Array;
  /** 1 for the first delivery. */
  readonly attempt: number;
  /** Aborted when the consumption stops: a handler that would take long may give up then, and the message goes to another worker. */
  readonly signal: AbortSignal;
}

/** What to consume, and what to do with each message. */
export interface ConsumeOptions {
  readonly stream: string;
  readonly durable: string;
  /** Most messages in hand at a time. */
  readonly concurrency: number;
  /** Handles one message; it may come again after a crash, so doing it twice must be harmless. */
  readonly handler: (delivery: Delivery) => Promise<void>;
  readonly log: Log;
  /** What handling a message is called in traces. Default: the stream's name. */
  readonly span?: string;
  /** Pause before a message that was given back comes again. Default 1000. */
  readonly retryDelayMs?: number;
  /**
   * How long a failure that passes by itself (a store or a judge that is away) is tried again in hand, with growing pauses,
   * before the message is given back: each delivery counts against its last. Default 0.
   */
  readonly patienceMs?: number;
}

/** A running consumption. */
export interface Consumption {
  /** Stops pulling, and waits until what is in hand is finished or given back. */
  stop(): Promise<void>;
  /** Settles when the consumption ends; rejects if a handler failed in a way that ends the process. */
  readonly done: Promise<void>;
}

/**
 * Pulls from a durable consumer and handles its messages, `concurrency` at a time. A message is acknowledged after its
 * handler; a failed one is dropped, given back or ends the consumption, as its error's disposition says. Long work is
 * reported to the server, so that the message does not go to another worker meanwhile.
 */
export function consume(streams: Streams, options: ConsumeOptions): Consumption {
  const stopping = new AbortController();
  const inHand = new Set<Promise<void>>();
  let fail: (error: RetortError) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = (error) => {
      stopping.abort();
      reject(error);
    };
  });
  failed.catch(() => {});
  // A message that can be neither pulled nor answered comes again and again.
  void streams.denied.then(fail);
  const running = pullForEver(streams, options, stopping.signal, inHand, fail);
  return {
    done: Promise.race([failed, running.then(() => (stopping.signal.aborted ? Promise.race([failed, settled(inHand)]) : undefined))]),
    stop: async () => {
      stopping.abort();
      await running;
      await settled(inHand);
    },
  };
}

const settled = async (inHand: ReadonlySet<Promise<void>>): Promise<void> => {
  await Promise.all(inHand);
};

async function pullForEver(
  streams: Streams,
  options: ConsumeOptions,
  stop: AbortSignal,
  inHand: Set<Promise<void>>,
  fail: (error: RetortError) => void,
): Promise<void> {
  const { stream, durable, log } = options;
  for (let failures = 0; !stop.aborted; failures++) {
    try {
      // The consumer is looked up again after every failure: it may have been made again.
      await pull(streams, options, stop, inHand, fail);
      return;
    } catch (error) {
      if (stop.aborted) return;
      if (isDenied(error)) return fail(RetortError.from(error));
      const gone = isApiError(error, "streamNotFound") || isApiError(error, "consumerNotFound");
      log[gone ? "debug" : "warn"](
        { err: error, stream, durable, failures },
        gone ? "the consumer is gone" : "pulling failed; trying again",
      );
      await sleep(Math.min(5000, 100 * 2 ** Math.min(failures, 6)), undefined, { signal: stop }).catch(() => {});
    }
  }
}

async function pull(
  streams: Streams,
  options: ConsumeOptions,
  stop: AbortSignal,
  inHand: Set<Promise<void>>,
  fail: (error: RetortError) => void,
): Promise<void> {
  const consumer = await streams.live(() => streams.reads.js.consumers.get(options.stream, options.durable), reconnectWaitMs);
  const { ack_wait } = (await consumer.info(true)).config;
  // Three signs of life within the time after which the server takes a message for lost.
  const heartbeatMs = millis(ack_wait ?? defaultAckWaitNanos) / 3;
  while (!stop.aborted) {
    const batch = await consumer.fetch({ max_messages: options.concurrency - inHand.size, expires: 1000 });
    const onStop = () => batch.stop();
    stop.addEventListener("abort", onStop, { once: true });
    try {
      for await (const message of batch) {
        if (stop.aborted) {
          answer(message, options.log, () => message.nak());
          continue;
        }
        const work = handle(message, options, heartbeatMs, stop, fail).finally(() => inHand.delete(work));
        inHand.add(work);
      }
    } finally {
      stop.removeEventListener("abort", onStop);
    }
    if (inHand.size >= options.concurrency) await Promise.race(inHand);
  }
}

const defaultAckWaitNanos = 30e9;
const reconnectWaitMs = 5000;

async function handle(
  message: JsMsg,
  options: ConsumeOptions,
  heartbeatMs: number,
  stop: AbortSignal,
  fail: (error: RetortError) => void,
): Promise<void> {
  const { handler, log, stream, span = stream, retryDelayMs = 1000 } = options;
  const heartbeat = setInterval(() => answer(message, log, () => message.working()), heartbeatMs);
  const { subject, data } = message;
  const attempt = message.info.deliveryCount;
  try {
    const sender = traceOf((name) => message.headers?.get(name));
    const delivery = { subject, data, attempt, signal: stop };
    await traced(span, { subject, attempt }, () => patiently(() => handler(delivery), options, stop), sender);
    answer(message, log, () => message.ack());
  } catch (thrown) {
    const error = RetortError.from(thrown);
    const { disposition } = error;
    log.warn({ err: error, subject, attempt, disposition }, "a message failed");
    answer(message, log, () => {
      if (disposition === "terminate") message.term(error.message.slice(0, maxReasonLength));
      else message.nak(stop.aborted ? 0 : retryDelayMs);
    });
    if (disposition === "fail") fail(error);
  } finally {
    clearInterval(heartbeat);
  }
}

const longestPauseMs = 10_000;

/** Tries again while the failure is one that passes by itself. */
async function patiently(
  work: () => Promise<void>,
  { patienceMs = 0, retryDelayMs = 1000, log, stream }: ConsumeOptions,
  stop: AbortSignal,
) {
  const started = Date.now();
  for (let tries = 0; ; tries++) {
    try {
      return await work();
    } catch (error) {
      const pauseMs = Math.min(longestPauseMs, retryDelayMs * 2 ** tries);
      const { disposition } = RetortError.from(error);
      if (disposition !== "giveBack" || stop.aborted || Date.now() - started + pauseMs > patienceMs) throw error;
      log.warn({ err: error, stream, pauseMs }, "a message failed for now; trying it again");
      await sleep(pauseMs, undefined, { signal: stop }).catch(() => {});
    }
  }
}

const maxReasonLength = 512;

/** An answer that cannot be sent is no failure: the server delivers the message again, and doing it twice is harmless. */
function answer(message: JsMsg, log: Log, send: () => void): void {
  try {
    send();
  } catch (error) {
    log.debug({ err: error, subject: message.subject }, "the answer to a message could not be sent; it will come again");
  }
}
