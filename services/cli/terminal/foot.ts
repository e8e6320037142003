import cliTruncate from "cli-truncate";
import { createLogUpdate } from "log-update";
import { columnsOf, type Out } from "./style.js";

/** Shortest time between two drawings. */
const leastMs = 50;

/** The last line of a terminal, which is replaced as things go on, below the lines that stay. Elsewhere only what stays is written. */
export class Foot {
  readonly #out: Out;
  readonly #update: ReturnType<typeof createLogUpdate> | undefined;
  #shown = "";
  #drawnMs = Number.NEGATIVE_INFINITY;
  #late: NodeJS.Timeout | undefined;

  constructor(out: Out) {
    this.#out = out;
    if (out.isTTY) this.#update = createLogUpdate(out as NodeJS.WriteStream);
  }

  /** True if there is a line that can be replaced. */
  get isLive(): boolean {
    return this.#update !== undefined;
  }

  /** Shows a line, cut to the terminal's width. */
  show(line: string): void {
    this.#shown = line;
    const waitMs = leastMs - (performance.now() - this.#drawnMs);
    if (waitMs <= 0) this.#draw();
    else this.#late ??= setTimeout(() => this.#draw(), waitMs).unref();
  }

  /** Writes a line that stays. */
  print(line: string): void {
    this.#update?.clear();
    this.#out.write(`${line}\n`);
    if (this.#shown) this.#draw();
  }

  /** Takes the line away. */
  clear(): void {
    this.#shown = "";
    clearTimeout(this.#late);
    this.#late = undefined;
    this.#update?.clear();
    this.#update?.done();
  }

  #draw(): void {
    clearTimeout(this.#late);
    this.#late = undefined;
    this.#drawnMs = performance.now();
    // One column is left free: some terminals wrap a line that is exactly as wide as they are.
    this.#update?.(cliTruncate(this.#shown, Math.max(1, columnsOf(this.#out) - 1)));
  }
}
