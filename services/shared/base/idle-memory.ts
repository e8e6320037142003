import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { trimMemory } from "./allocator.js";

/** What is given back and wanted again sooner than this, in milliseconds, wasn't worth it: it takes about a hundredth as long to do both. */
const soonMs = 1500;

/** What is waited for without work before the first time. */
const leastMs = 50;

/**
 * Gives memory back to the system that isn't used any more, when nothing has been done for a moment: what JavaScript hasn't collected yet, and
 * what glibc keeps of what was freed, below something that is in use. After a teacher's or a student's work with 135M weights that is 70 to
 * 150 MB, as long as others work. Where the next work comes soon it waits longer: in steps of 0.2 s, to give memory back and to get it anew
 * took a fifth of them.
 */
export class IdleMemory {
  readonly #giveBack: () => void;
  #timer: NodeJS.Timeout | undefined;
  #waitMs = leastMs;
  #givenMs: number | undefined;

  /** @param give gives memory back; another one in tests */
  constructor(give: () => unknown = giveBack) {
    this.#giveBack = () => {
      this.#givenMs = performance.now();
      give();
    };
  }

  /** Tells that work has ended, or begun. */
  used(): void {
    if (this.#givenMs !== undefined) {
      const wasSoon = performance.now() - this.#givenMs < soonMs;
      this.#waitMs = wasSoon ? Math.min(2 * this.#waitMs, soonMs) : leastMs;
      this.#givenMs = undefined;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#giveBack, this.#waitMs).unref();
  }
}

let collect: (() => void) | undefined;

async function giveBack(): Promise<void> {
  collect ??= findCollector();
  collect();
  await trimMemory();
}

/** V8's own function, which it shows to those that ask for it: new contexts then have it. */
function findCollector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}
