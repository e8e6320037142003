import pLimit, { type LimitFunction } from "p-limit";
import { RetortError } from "./errors.js";
import { spawnWorker, type WorkerClient, type WorkerHandle } from "./workers.js";

/** How long a thread without work is kept: it holds 60 MB. */
const idleMs = 10_000;

/** How a pool of worker threads is kept. */
export interface PoolOptions {
  /** Most threads at a time. */
  readonly size: number;
  /** Most MiB of JavaScript heap of each. */
  readonly memoryMb: number;
}

/** Limits of one call. */
export interface PoolCall {
  /** The thread is ended, and replaced for others, when the work takes longer. */
  readonly timeoutMs: number;
  /** What is done, as the subject of "took longer than …". */
  readonly what: string;
  /** Ends the call, and the thread that works on it. */
  readonly signal?: AbortSignal;
}

/**
 * Worker threads for work that may never end, or take all memory, because it follows what others wrote: templates, patterns,
 * files. Threads start when they are first needed and are used again.
 */
export class WorkerPool<T> {
  readonly #module: URL;
  readonly #memoryMb: number;
  readonly #turns: LimitFunction;
  readonly #idle: { readonly worker: WorkerHandle<T>; readonly timer: NodeJS.Timeout }[] = [];
  readonly #stopping = new AbortController();

  constructor(module: URL, { size, memoryMb }: PoolOptions) {
    this.#module = module;
    this.#memoryMb = memoryMb;
    this.#turns = pLimit(size);
  }

  /**
   * Calls a thread of the pool, in turn with other calls.
   *
   * @throws ResourceExhausted, never to be repeated, if it takes too long or too much memory; Cancelled if the pool is
   * stopped or the signal is aborted; what the work throws
   */
  run<R>(work: (api: WorkerClient<T>) => Promise<R>, call: PoolCall): Promise<R> {
    return this.#turns(async () => {
      const signals = call.signal ? [call.signal, this.#stopping.signal] : [this.#stopping.signal];
      if (signals.some(({ aborted }) => aborted)) throw stopped(call);
      const worker = this.#take();
      try {
        const result = await limited(work(worker.api), call, signals);
        if (this.#stopping.signal.aborted) await worker.terminate();
        else this.#keep(worker);
        return result;
      } catch (error) {
        // Whatever it was, the next call gets a thread that nothing has happened to.
        await worker.terminate();
        throw error;
      }
    });
  }

  /** Ends every thread; calls in progress and later ones reject as Cancelled. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const idle = this.#idle.splice(0);
    for (const { timer } of idle) clearTimeout(timer);
    await Promise.all(idle.map(({ worker }) => worker.terminate()));
  }

  #take(): WorkerHandle<T> {
    const kept = this.#idle.pop();
    if (!kept) return spawnWorker<T>(this.#module, this.#memoryMb);
    clearTimeout(kept.timer);
    kept.worker.hold(true);
    return kept.worker;
  }

  /** A thread that is not needed keeps no process alive, and is not kept for long. */
  #keep(worker: WorkerHandle<T>): void {
    const timer = setTimeout(() => {
      const at = this.#idle.findIndex((one) => one.worker === worker);
      if (at >= 0) this.#idle.splice(at, 1);
      void worker.terminate();
    }, idleMs);
    timer.unref();
    worker.hold(false);
    this.#idle.push({ worker, timer });
  }
}

const stopped = ({ what }: PoolCall): RetortError => new RetortError("Cancelled", `${what} was stopped`);

/** Waits for the work, its deadline, the end of its thread or the signal, whichever comes first. */
async function limited<R>(work: Promise<R>, call: PoolCall, signals: readonly AbortSignal[]): Promise<R> {
  const { timeoutMs, what } = call;
  let end = () => {};
  const cut = new Promise<never>((_, reject) => {
    const timer = setTimeout(
      () => reject(new RetortError("ResourceExhausted", `${what} took longer than ${timeoutMs / 1000} s`, { retry: "never" })),
      timeoutMs,
    );
    const abort = () => reject(stopped(call));
    for (const signal of signals) signal.addEventListener("abort", abort, { once: true });
    end = () => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener("abort", abort);
    };
  });
  try {
    // The work itself rejects when its thread crashes.
    return await Promise.race([work, cut]);
  } catch (error) {
    work.catch(() => {});
    throw error instanceof RetortError && error.code === "ResourceExhausted" ? named(error, what) : error;
  } finally {
    end();
  }
}

/** A thread that ran out of memory does not know what it did. */
const named = (error: RetortError, what: string): RetortError =>
  error.message.startsWith("took more than") ? new RetortError(error.code, `${what} ${error.message}`, { retry: "never" }) : error;
