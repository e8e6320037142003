import { parentPort, Worker } from "node:worker_threads";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { RetortError, type RetortErrorData } from "./errors.js";

// Errors keep their code on the way out of a worker; Comlink alone would keep only their message.
const thrown = Comlink.transferHandlers.get("throw") as Comlink.TransferHandler<{ value: unknown }, RetortErrorData>;
Comlink.transferHandlers.set("throw", {
  canHandle: thrown.canHandle,
  serialize: ({ value }: { value: unknown }) => [RetortError.from(value).toJSON(), []],
  deserialize: (data: RetortErrorData) => {
    throw RetortError.fromData(data);
  },
});

/** A worker thread's methods, each returning a promise. */
export type WorkerClient<T> = Comlink.Remote<T>;

export interface WorkerHandle<T> {
  readonly api: WorkerClient<T>;
  /** Settles when the thread has ended by itself: a crash. */
  readonly crashed: Promise<RetortError>;
  terminate(): Promise<void>;
}

/** Starts a worker thread whose module calls {@link exposeWorker} and gives access to its methods. */
export function spawnWorker<T>(module: URL): WorkerHandle<T> {
  const worker = new Worker(module);
  let stopping = false;
  const crashed = new Promise<RetortError>((resolve) => {
    worker.once("error", (error) => resolve(RetortError.from(error)));
    worker.once("exit", (code) => {
      if (!stopping) resolve(new RetortError("Internal", `the worker thread ${module.pathname} ended with code ${code}`));
    });
  });
  return {
    api: Comlink.wrap<T>(nodeEndpoint(worker)),
    crashed,
    terminate: async () => {
      stopping = true;
      await worker.terminate();
    },
  };
}

/** Serves an object's methods to the thread that spawned this worker. */
export function exposeWorker(api: object): void {
  if (!parentPort) throw new RetortError("Internal", "exposeWorker must run in a worker thread");
  Comlink.expose(api, nodeEndpoint(parentPort));
}

/** Marks a value's array buffers to be moved instead of copied to the other thread; the sender loses them. */
export function moved<T extends object>(value: T, buffers: readonly ArrayBufferLike[]): T {
  return Comlink.transfer(value, buffers as ArrayBuffer[]);
}

/** Marks a callback so that the worker can call it. */
export const callback = <T extends (...args: never[]) => unknown>(f: T): T & Comlink.ProxyMarked => Comlink.proxy(f);
