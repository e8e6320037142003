import { SingleBar } from "cli-progress";
import type { Terminal } from "./host.js";

/** Shows how far a set of runs is, with an estimate of the time left: a bar on a terminal, else a line per finished run. */
export class RunsProgress {
  readonly #out: Terminal;
  readonly #bar: SingleBar | undefined;
  readonly #total: number;
  readonly #started = performance.now();
  #done = 0;

  /** @param total the work of all runs, in units of one optimiser step over one prompt */
  constructor(out: Terminal, total: number) {
    this.#out = out;
    this.#total = total;
    if (out.isTTY && total > 0) {
      this.#bar = new SingleBar({
        stream: out,
        format: "{bar} {percentage} % · ETA {left} · {line}",
        barsize: 24,
        hideCursor: true,
        clearOnComplete: true,
      });
      this.#bar.start(total, 0, { left: "?", line: "starting" });
    }
  }

  /** Counts work as done. */
  advance(work: number, line: string): void {
    this.#done += work;
    this.#bar?.update(Math.min(this.#done, this.#total), { left: this.#left(), line });
  }

  /** Says that a run is finished. */
  finished(label: string, figures: string): void {
    const text = `${label}: ${figures}`;
    if (this.#bar) this.#bar.update({ line: text });
    else this.#out.write(`${Math.floor((100 * this.#done) / this.#total)} % · ETA ${this.#left()} · ${text}\n`);
  }

  /** Takes the bar away. */
  stop(): void {
    this.#bar?.stop();
  }

  #left(): string {
    if (this.#done === 0) return "?";
    const seconds = (((performance.now() - this.#started) / 1000) * (this.#total - this.#done)) / this.#done;
    const [minutes, rest] = [Math.floor(Math.max(0, seconds) / 60), Math.floor(Math.max(0, seconds) % 60)];
    return minutes ? `${minutes} min ${rest} s` : `${rest} s`;
  }
}
