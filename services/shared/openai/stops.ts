/** Text as it is written, up to where the first of some strings begins. */
export class StopFilter {
  readonly #stops: readonly string[];
  #held = "";
  #stopped = false;

  /** @param stops none of them empty */
  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** Whether one of the strings has come: nothing else is passed on. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** What may be passed on now that this has been written too: what may yet become a stop is held back. */
  push(text: string): string {
    if (this.#stopped) return "";
    const all = this.#held + text;
    const at = Math.min(...this.#stops.map((stop) => all.indexOf(stop)).filter((found) => found >= 0), Number.POSITIVE_INFINITY);
    this.#stopped = at < Number.POSITIVE_INFINITY;
    const passed = this.#stopped ? at : all.length - Math.max(0, ...this.#stops.map((stop) => overlap(all, stop)));
    this.#held = this.#stopped ? "" : all.slice(passed);
    return all.slice(0, passed);
  }

  /** What was held back, once nothing else comes. */
  end(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }
}

/** How many characters at the end of a text are the beginning of a stop. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) if (text.endsWith(stop.slice(0, length))) return length;
  return 0;
}
