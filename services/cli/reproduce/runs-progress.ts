import { barText } from "../terminal/bar.js";
import { Foot } from "../terminal/foot.js";
import { duration } from "../terminal/pace.js";
import type { Out } from "../terminal/style.js";

/** Shows how far a set of runs is, with an estimate of the time left: a bar on a terminal, else a line per finished run. */
export class RunsProgress {
  readonly #foot: Foot;
  readonly #out: Out;
  readonly #total: number;
  readonly #started = performance.now();
  #done = 0;

  /** @param total the work of all runs, in units of one optimiser step over one prompt */
  constructor(out: Out, total: number) {
    this.#out = out;
    this.#foot = new Foot(out);
    this.#total = total;
  }

  /** Counts work as done. */
  advance(work: number, line: string): void {
    this.#done += work;
    this.#show(line);
  }

  /** Says that a run is finished. */
  finished(label: string, figures: string): void {
    const text = `${label}: ${figures}`;
    if (this.#foot.isLive) {
      this.#show(text);
      return;
    }
    const left = this.#left();
    this.#foot.print(`${this.#percent()} % · ETA ${left === undefined ? "?" : duration(left)} · ${text}`);
  }

  /** Takes the bar away. */
  stop(): void {
    this.#foot.clear();
  }

  #show(line: string): void {
    if (this.#foot.isLive) this.#foot.show(`${barText(this.#percent(), 100, this.#left(), this.#out)} · ${line}`);
  }

  #percent(): number {
    return Math.min(100, Math.floor((100 * this.#done) / this.#total));
  }

  /** Seconds, from the mean over all that is done: the work of a run is known, and differs from that of the next. */
  #left(): number | undefined {
    if (this.#done === 0) return undefined;
    return (((performance.now() - this.#started) / 1000) * Math.max(0, this.#total - this.#done)) / this.#done;
  }
}
