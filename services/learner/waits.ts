/** Something that is waited for now. */
export interface Wait {
  /** Who owes it, or what is to come. */
  readonly on: string;
  readonly seconds: number;
  readonly missing: number;
}

/** For whom a learner waits, and since when. */
export class Waits {
  readonly #now: () => number;
  readonly #kinds = new Map<string, Map<string, { readonly sinceMs: number; readonly missing: number }>>();

  /** @param now in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** All that is missing now of one kind of things, by who owes it: whoever isn't named is waited for no more. */
  set(kind: string, missing: ReadonlyMap<string, number>): void {
    const before = this.#kinds.get(kind);
    if (missing.size === 0) return void this.#kinds.delete(kind);
    const since = (on: string) => before?.get(on)?.sinceMs ?? this.#now();
    this.#kinds.set(kind, new Map([...missing].map(([on, count]) => [on, { sinceMs: since(on), missing: count }])));
  }

  /** Every wait of this moment. */
  now(): Wait[] {
    return [...this.#kinds.values()].flatMap((waits) =>
      [...waits].map(([on, { sinceMs, missing }]) => ({ on, seconds: (this.#now() - sinceMs) / 1000, missing })),
    );
  }
}
