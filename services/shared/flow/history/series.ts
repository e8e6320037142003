/** A curve: one value per point, in the order of steps. The arrays have one length and are views that later points don't change. */
export interface Series {
  readonly steps: Uint32Array;
  /** Seconds since the run's first event. */
  readonly seconds: Float64Array;
  /** Completion tokens that were trained on until then. */
  readonly tokens: Float64Array;
  /** NaN where the point doesn't have this figure. */
  readonly values: Float64Array;
}

/** A place in a run. */
export interface Point {
  readonly step: number;
  readonly seconds: number;
  readonly tokens: number;
}

const firstCapacity = 64;

/**
 * Curves over the same points: columns of numbers that grow, 8 bytes a value. A column that comes later is NaN before its first
 * value.
 */
export class SeriesTable {
  #length = 0;
  #steps = new Uint32Array(firstCapacity);
  #seconds = new Float64Array(firstCapacity);
  #tokens = new Float64Array(firstCapacity);
  readonly #columns = new Map<string, Float64Array>();

  /** Points. */
  get length(): number {
    return this.#length;
  }

  /** The last point's step; 0 without points. */
  get lastStep(): number {
    return this.#length ? this.#steps[this.#length - 1]! : 0;
  }

  /** The last point's tokens; 0 without points. */
  get lastTokens(): number {
    return this.#length ? this.#tokens[this.#length - 1]! : 0;
  }

  /** Adds a point whose values {@link set} gives. */
  append({ step, seconds, tokens }: Point): void {
    if (this.#length === this.#steps.length) this.#grow();
    this.#steps[this.#length] = step;
    this.#seconds[this.#length] = seconds;
    this.#tokens[this.#length] = tokens;
    this.#length++;
  }

  /** Gives the last point a value. */
  set(name: string, value: number): void {
    let column = this.#columns.get(name);
    if (!column) {
      column = new Float64Array(this.#steps.length).fill(Number.NaN);
      this.#columns.set(name, column);
    }
    column[this.#length - 1] = value;
  }

  /** Takes back every point beyond a step. */
  truncate(step: number): void {
    const end = this.#length;
    while (this.#length && this.lastStep > step) this.#length--;
    if (this.#length === end) return;
    // Views that were given out keep what they have: what follows is written elsewhere.
    this.#copy(this.#steps.length);
    for (const column of this.#columns.values()) column.fill(Number.NaN, this.#length, end);
  }

  /** Every curve by its name, as it is now. */
  series(): ReadonlyMap<string, Series> {
    const end = this.#length;
    const [steps, seconds, tokens] = [this.#steps.subarray(0, end), this.#seconds.subarray(0, end), this.#tokens.subarray(0, end)];
    const named = (values: Float64Array): Series => ({ steps, seconds, tokens, values: values.subarray(0, end) });
    return new Map([...this.#columns].map(([name, values]) => [name, named(values)]));
  }

  #grow(): void {
    this.#copy(this.#steps.length * 2);
  }

  #copy(capacity: number): void {
    const grown = (values: Float64Array) => {
      const next = new Float64Array(capacity).fill(Number.NaN, values.length);
      next.set(values);
      return next;
    };
    const steps = new Uint32Array(capacity);
    steps.set(this.#steps);
    this.#steps = steps;
    this.#seconds = grown(this.#seconds);
    this.#tokens = grown(this.#tokens);
    for (const [name, values] of this.#columns) this.#columns.set(name, grown(values));
  }
}
