import { setTimeout as sleep } from "node:timers/promises";
import { RetortError } from "../shared/base/errors.js";

/** A process that goes on until it is stopped, or ends by itself. */
export interface Part {
  /** Settles with the reason when it has ended, asked or not. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
  kill(): void;
}

/** What is to be kept running, and how often it may end. */
export interface KeepOptions<P extends Part> {
  /** As the subject of a sentence. */
  readonly name: string;
  /** Starts it: the first time, or again after one that has ended. Gives up, and ends what it has started, once the signal is aborted. */
  readonly begin: (last: P | undefined, stopped: AbortSignal) => Promise<P>;
  /** Gives the first start up. */
  readonly signal?: AbortSignal;
  readonly say: (sentence: string) => void;
  /** Waits before a new start until there is what it needs. Returns whether that was missing: ends then do not count. */
  readonly ready?: (signal: AbortSignal) => Promise<boolean>;
  /** It is given up when it ends this often within the window. */
  readonly maxDeaths?: number;
  readonly windowMs?: number;
  /** Wait before the first new start; twice as long before each further one. */
  readonly backoffMs?: number;
}

/** Starts something again whenever it ends by itself, until that happens too often. */
export class KeptRunning<P extends Part> {
  readonly #options: Required<KeepOptions<P>>;
  readonly #deaths: number[] = [];
  readonly #stop = new AbortController();
  #beginning: Promise<unknown> = Promise.resolve();
  /** Settles when it has ended too often; never when it is stopped. */
  readonly failed: Promise<RetortError>;
  /** The one that was started last. */
  current: P;

  private constructor(options: Required<KeepOptions<P>>, first: P) {
    this.#options = options;
    this.current = first;
    this.failed = this.#keep();
  }

  /** Starts it. @throws why it cannot be started the first time */
  static async start<P extends Part>(options: KeepOptions<P>): Promise<KeptRunning<P>> {
    const never = new AbortController().signal;
    const whole = { maxDeaths: 5, windowMs: 60_000, backoffMs: 250, ready: async () => false, signal: never, ...options };
    return new KeptRunning(whole, await whole.begin(undefined, whole.signal));
  }

  /** Ends it, and one that is just being started. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#beginning.catch(() => {});
    await this.current.stop();
  }

  /** Ends it at once. */
  kill(): void {
    this.#stop.abort();
    this.current.kill();
  }

  async #keep(): Promise<RetortError> {
    const { name, say, maxDeaths, windowMs, ready } = this.#options;
    let reason = await this.current.ended;
    while (!this.#stop.signal.aborted) {
      if (await ready(this.#stop.signal)) this.#deaths.length = 0;
      if (this.#stop.signal.aborted) break;
      this.#deaths.push(Date.now());
      const recent = this.#deaths.filter((at) => Date.now() - at < windowMs).length;
      if (recent >= maxDeaths)
        return new RetortError("FailedPrecondition", `${name} ended ${recent} times within ${windowMs / 1000} s, the last time: ${reason}`);
      say(`${name} ended (${reason}); starting it again`);
      reason = await this.#again(recent).catch((error: unknown) => RetortError.from(error).message);
    }
    return new Promise(() => {});
  }

  /** Starts it again and waits until it ends. Returns the reason. */
  async #again(deaths: number): Promise<string> {
    const { begin, backoffMs, name, say } = this.#options;
    await sleep(Math.min(5000, backoffMs * 2 ** (deaths - 1)), undefined, { signal: this.#stop.signal }).catch(() => {});
    if (this.#stop.signal.aborted) return "stopped";
    const beginning = begin(this.current, this.#stop.signal).then((next) => {
      this.current = next;
    });
    this.#beginning = beginning;
    await beginning;
    if (!this.#stop.signal.aborted) say(`${name} runs again`);
    return this.current.ended;
  }
}
