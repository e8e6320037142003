interface Waiting {
  readonly isAlone: boolean;
  readonly start: () => void;
}

/**
 * Who has a model's weights: those that read them overlap, and who changes them is alone. Each in the order of its coming, so
 * that readers never keep a change waiting for ever.
 */
export class WeightsLock {
  #readers = 0;
  #isChanging = false;
  #waiting: readonly Waiting[] = [];

  /** Works while others may read too. */
  async reading<T>(work: () => Promise<T>): Promise<T> {
    await this.#enter(false);
    try {
      return await work();
    } finally {
      this.#readers--;
      this.#admit();
    }
  }

  /** Works while nobody else does; `share` lets others read from there on, and no change comes between. */
  async alone<T>(work: (share: () => void) => Promise<T>): Promise<T> {
    await this.#enter(true);
    let isShared = false;
    const share = () => {
      if (isShared) return;
      isShared = true;
      this.#isChanging = false;
      this.#readers++;
      this.#admit();
    };
    try {
      return await work(share);
    } finally {
      if (isShared) this.#readers--;
      else this.#isChanging = false;
      this.#admit();
    }
  }

  #enter(isAlone: boolean): Promise<void> {
    return new Promise((start) => {
      this.#waiting = [...this.#waiting, { isAlone, start }];
      this.#admit();
    });
  }

  #admit(): void {
    for (;;) {
      const [next] = this.#waiting;
      if (!next || this.#isChanging || (next.isAlone && this.#readers > 0)) return;
      this.#waiting = this.#waiting.slice(1);
      if (next.isAlone) this.#isChanging = true;
      else this.#readers++;
      next.start();
    }
  }
}
