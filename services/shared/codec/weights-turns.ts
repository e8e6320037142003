import pLimit from "p-limit";

/** A version of the weights that work wants. */
export interface WantedWeights {
  /** Whether the model has it. */
  readonly isInUse: () => boolean;
  /** Brings the model to it, when nothing works with another; undefined if it can't be had just now. */
  readonly use: () => Promise<number | undefined>;
  /** Whether nothing else may work meanwhile, under whatever weights. */
  readonly isAlone: boolean;
}

/** Who works with a model whose weights are replaced by other versions: nobody has them taken away while working. */
export class WeightsTurns {
  /** One after another: who works begins when those before have begun, or its weights are there. */
  readonly #entry = pLimit(1);
  readonly #works = new Set<Promise<unknown>>();

  /** Runs work with whatever weights there are, beside other work. */
  async beside<T>(work: () => Promise<T>): Promise<T> {
    const begun = await this.#entry(async () => ({ done: this.#begin(work) }));
    return begun.done;
  }

  /**
   * Runs work under certain weights, which stay until it has ended. Works under the same weights go on side by side; one that needs
   * others waits until all before it have ended, and those that come later wait for it.
   *
   * @returns undefined if the weights can't be had just now
   */
  async under<T>({ isInUse, use, isAlone }: WantedWeights, work: (version: number) => Promise<T>): Promise<T | undefined> {
    const begun = await this.#entry(async () => {
      if (isAlone || !isInUse()) await Promise.allSettled(this.#works);
      const version = await use();
      if (version === undefined) return undefined;
      const done = this.#begin(() => work(version));
      if (isAlone) await Promise.allSettled([done]);
      return { done };
    });
    return begun?.done;
  }

  #begin<T>(work: () => Promise<T>): Promise<T> {
    const done = work().finally(() => this.#works.delete(done));
    this.#works.add(done);
    return done;
  }
}
