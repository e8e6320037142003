import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";

/** Time between two tries, in milliseconds. */
export const pauseMs = 500;

/** What a controller answers, or a connection to it, that ends, has ended or just starts. */
const away: readonly Code[] = [Code.Unavailable, Code.Canceled, Code.Aborted];

/**
 * How long a controller is waited for that has answered before and is away. One that has never answered is not waited for: its address,
 * or its TLS, may be another one.
 */
export class Patience {
  readonly #ms: number;
  #answered = false;

  constructor(ms: number) {
    this.#ms = ms;
  }

  /** The controller has answered. */
  heard(): void {
    this.#answered = true;
  }

  /** Whether what failed is worth another try. @param since when the controller was last heard, or asked first */
  isLeft(error: unknown, since: number): boolean {
    if (away.includes(ConnectError.from(error).code)) return this.#answered && performance.now() - since <= this.#ms;
    this.heard();
    return false;
  }

  /** Does work that may be repeated, until it is done or the controller has been away for too long. */
  async retrying<T>(work: () => Promise<T>): Promise<T> {
    const since = performance.now();
    for (;;) {
      try {
        const done = await work();
        this.heard();
        return done;
      } catch (error) {
        if (!this.isLeft(error, since)) throw error;
      }
      await sleep(pauseMs);
    }
  }
}
