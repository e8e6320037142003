import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import { RetortError } from "../../../../base/errors.js";
import type { Answers, NativeError, Request } from "./plan.js";

/** What the Rust core says of an input that it cannot work with. */
export class NativeFailure extends Error {
  override readonly name = "NativeFailure";

  constructor(readonly detail: NativeError) {
    super(detail.message);
  }
}

/** The longest that one call may take, milliseconds: far beyond any, so that a dead thread is an error and no standstill. */
const patience = 600_000;

/** The state of the shared word while a question is open. */
export const waiting = 0;
/** The state of the shared word once the thread has answered. */
export const answered = 1;

/** What comes back of a question: its answer, what is wrong with the input, or that the thread ended. */
export type Reply<O extends Request["op"] = Request["op"]> =
  | { readonly answer: Answers[O] }
  | { readonly error: NativeError }
  | { readonly ended: number };

interface Bridge {
  readonly port: MessagePort;
  /** One word, `waiting` or `answered`. */
  readonly state: Int32Array;
}

let bridge: Bridge | undefined;

/**
 * Asks this thread's thread of native tokenizers and waits for the answer. The thread starts with the first question and
 * keeps no process alive.
 *
 * @throws NativeFailure with what the core says; FailedPrecondition without the library; Internal if the thread is gone
 */
export function ask<O extends Request["op"]>(request: Request & { op: O }): Answers[O] {
  bridge ??= start();
  const { port, state } = bridge;
  Atomics.store(state, 0, waiting);
  port.postMessage(request);
  // A late wake-up of the answer before must not be taken for this one's.
  const until = performance.now() + patience;
  while (Atomics.load(state, 0) === waiting && performance.now() < until) Atomics.wait(state, 0, waiting, until - performance.now());
  const received = receiveMessageOnPort(port) as { message: Reply<O> } | undefined;
  if (!received || "ended" in received.message) {
    bridge = undefined;
    throw new RetortError("Internal", "the thread of native tokenizers gave no answer; start the process again");
  }
  const { message } = received;
  if ("error" in message) throw failureOf(message.error);
  return message.answer;
}

function failureOf(error: NativeError): Error {
  if (!error.library) return new NativeFailure(error);
  const { platform, arch } = process;
  return new RetortError(
    "FailedPrecondition",
    `the tokenizers library cannot be loaded on ${platform} ${arch}: ${error.message}; run "npm ci"`,
  );
}

/** Tells the thread something that has no answer. */
export function tell(request: Request & { op: "release" }): void {
  bridge?.port.postMessage(request);
}

function start(): Bridge {
  const { port1, port2 } = new MessageChannel();
  const state = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const worker = new Worker(new URL("./worker.js", import.meta.url), {
    workerData: { port: port2, state },
    transferList: [port2],
    // Flags of the process (a test runner's, say) are not the thread's.
    execArgv: [],
  });
  const started = { port: port1, state };
  // Without a listener, an error of the thread would end the process before its reason is reported.
  worker.on("error", () => {
    if (bridge === started) bridge = undefined;
  });
  worker.unref();
  return started;
}
