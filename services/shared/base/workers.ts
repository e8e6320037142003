import { MessageChannel, type MessagePort, parentPort, Worker, workerData } from "node:worker_threads";
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

/** The threads that run. */
const live = new Set<Worker>();

/** Whether a worker thread runs, in which native code may be at work. */
export const hasWorkers = (): boolean => live.size > 0;

/** A worker thread's methods, each returning a promise. */
export type WorkerClient<T> = Comlink.Remote<T>;

/** A running worker thread. */
export interface WorkerHandle<T> {
  /** Its methods. A call in progress rejects when the thread ends, whatever the reason. */
  readonly api: WorkerClient<T>;
  /** Settles when the thread has ended by itself: a crash. */
  readonly crashed: Promise<RetortError>;
  /** Whether the thread keeps its process alive. */
  hold(isHeld: boolean): void;
  /**
   * Ends the thread at its next turn, between two calls of native code; calls in progress reject as Cancelled at once. What ends a
   * thread that runs models: onnxruntime-node aborts the whole process where its thread is terminated within a call, or while it
   * loads.
   */
  close(): Promise<void>;
  /** Ends the thread at once, in a loop without an end too; calls in progress reject as Cancelled. */
  terminate(): Promise<void>;
}

/** What a thread is told when it starts. */
interface ThreadData {
  /** Any message on it asks the thread to end. */
  readonly end: MessagePort;
}

/**
 * Starts a worker thread whose module calls {@link exposeWorker} and gives access to its methods.
 *
 * @param memoryMb most MiB of its JavaScript heap; a thread that needs more crashes alone. Default: the process's own limit
 */
export function spawnWorker<T>(module: URL, memoryMb?: number): WorkerHandle<T> {
  const { worker, askToEnd, exited } = startThread(module, memoryMb);
  const pending = new Set<(error: RetortError) => void>();
  let ended: RetortError | undefined;
  const refuse = (error: RetortError) => {
    ended ??= error;
    for (const reject of pending) reject(ended);
    pending.clear();
  };
  const stopped = () => refuse(new RetortError("Cancelled", "the worker thread was stopped"));
  const crashed = new Promise<RetortError>((resolve) => {
    const crash = (error: RetortError) => {
      if (ended) return;
      refuse(error);
      resolve(error);
    };
    const name = module.pathname.split("/").at(-1);
    worker.once("error", (error) =>
      crash(
        (error as NodeJS.ErrnoException).code === "ERR_WORKER_OUT_OF_MEMORY"
          ? new RetortError("ResourceExhausted", `took more than ${memoryMb ?? "the allowed"} MiB of memory`, {
              retry: "never",
              cause: error,
            })
          : new RetortError("Internal", `the worker thread ${name} crashed: ${error.message}`, { cause: error }),
      ),
    );
    worker.once("exit", (code) => crash(new RetortError("Internal", `the worker thread ${name} ended by itself with code ${code}`)));
  });
  const remote = Comlink.wrap<T>(nodeEndpoint(worker)) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  // Comlink alone would leave a call for ever without an answer when its thread is gone.
  const call = (method: string, args: unknown[]) =>
    new Promise((resolve, reject) => {
      if (ended) return reject(ended);
      pending.add(reject);
      remote[method]!(...args)
        .then(resolve, reject)
        .finally(() => pending.delete(reject));
    });
  const api = new Proxy(
    {},
    {
      // A client must not look like a promise, or awaiting it would call a method named `then`.
      get: (_, method) => (typeof method === "string" && method !== "then" ? (...args: unknown[]) => call(method, args) : undefined),
    },
  ) as WorkerClient<T>;
  return {
    api,
    crashed,
    hold: (isHeld) => (isHeld ? worker.ref() : worker.unref()),
    close: () => {
      stopped();
      askToEnd();
      return exited;
    },
    terminate: async () => {
      stopped();
      await worker.terminate();
    },
  };
}

/** A thread, how it is asked to end, and when it has. */
function startThread(module: URL, memoryMb: number | undefined) {
  const { port1: asked, port2: end } = new MessageChannel();
  const worker = new Worker(module, {
    workerData: { end } satisfies ThreadData,
    transferList: [end],
    resourceLimits: memoryMb === undefined ? {} : { maxOldGenerationSizeMb: memoryMb },
  });
  asked.unref();
  live.add(worker);
  const exited = new Promise<void>((resolve) =>
    worker.once("exit", () => {
      live.delete(worker);
      asked.close();
      resolve();
    }),
  );
  return { worker, askToEnd: () => asked.postMessage("end"), exited };
}

/** Serves an object's methods to the thread that spawned this worker. */
export function exposeWorker(api: object): void {
  if (!parentPort) throw new RetortError("Internal", "exposeWorker must run in a worker thread");
  Comlink.expose(api, nodeEndpoint(parentPort));
  const { end } = workerData as ThreadData;
  end.once("message", () => process.exit());
  end.unref();
}

/** Marks a value's array buffers to be moved instead of copied to the other thread; the sender loses them. */
export function moved<T extends object>(value: T, buffers: readonly ArrayBufferLike[]): T {
  return Comlink.transfer(value, buffers as ArrayBuffer[]);
}

/** Marks a callback so that the worker can call it. */
export const callback = <T extends (...args: never[]) => unknown>(f: T): T & Comlink.ProxyMarked => Comlink.proxy(f);
