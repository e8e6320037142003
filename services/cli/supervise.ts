/** Something that a command has started and must not leave behind. */
export interface Supervised {
  /** Ends it in order. May be called more than once. */
  stop(): Promise<void>;
  /** Ends it at once, without waiting. */
  kill(): void;
}

/** What ends a command from outside, and the exit code that says so: 128 and the signal's number. */
const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof exitCodes;
const signals = Object.keys(exitCodes) as Signal[];

/**
 * Ends what a command has started when the command is ended: by the first signal in order, the latest first, by the second
 * at once. What even that misses (kill -9) ends itself: every child holds a pipe of this process.
 */
class Supervisor {
  readonly #under: Supervised[] = [];
  #ending: Promise<never> | undefined;
  #watching = false;

  /** Settles never, and ends the process, when a signal has come; undefined before. */
  get ending(): Promise<never> | undefined {
    return this.#ending;
  }

  /** Hears signals from now on: called before something is started, or one that comes meanwhile ends the process unheard. */
  watch(): void {
    if (!this.#watching) for (const signal of signals) process.on(signal, this.#signalled);
    this.#watching = true;
  }

  /** Takes something under supervision. Returns the function that ends it. */
  add(one: Supervised): () => void {
    this.watch();
    this.#under.push(one);
    // What is started while everything stops is stopped, too.
    if (this.#ending) one.kill();
    return () => {
      const place = this.#under.indexOf(one);
      if (place >= 0) this.#under.splice(place, 1);
      if (this.#under.length > 0 || this.#ending) return;
      for (const signal of signals) process.off(signal, this.#signalled);
      this.#watching = false;
    };
  }

  readonly #signalled = (signal: Signal): void => {
    if (this.#ending) {
      for (const one of [...this.#under]) one.kill();
      process.exit(exitCodes[signal]);
    }
    // A terminal that was closed takes no words any more, and that must not keep the rest from being ended.
    for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
    console.error(signal === "SIGINT" ? "\nstopping … (Ctrl-C again ends everything at once)" : "stopping …");
    this.#ending = this.#stop(exitCodes[signal]);
  };

  async #stop(exitCode: number): Promise<never> {
    for (const one of [...this.#under].reverse())
      await one.stop().catch((error: unknown) => {
        one.kill();
        console.error(`retort: ${(error as Error).message}`);
      });
    process.exit(exitCode);
  }
}

/** The one of this process. */
export const supervisor = new Supervisor();
