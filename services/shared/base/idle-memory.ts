import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * After this long without work freed memory is given back: where steps are shorter it is wanted again at once, and to give it back and to get
 * it anew takes as long as a small model's work (a fifth of a step of 0.25 s).
 */
const idleMs = 500;

/**
 * Gives memory back to the system that isn't used any more, when nothing has been done for a moment: what JavaScript hasn't collected yet, and
 * what glibc keeps of what was freed, below something that is in use. After a teacher's or a student's work with 135M weights that is 70 to
 * 150 MB, as long as others work. It takes about 10 ms.
 */
export class IdleMemory {
  #timer: NodeJS.Timeout | undefined;

  /** Tells that work has ended, or begun. */
  used(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void giveBack(), idleMs).unref();
  }
}

let collect: (() => void) | undefined;
let trim: Promise<() => void> | undefined;

async function giveBack(): Promise<void> {
  collect ??= findCollector();
  trim ??= findTrim();
  collect();
  (await trim)();
}

/** V8's own function, which it shows to those that ask for it: new contexts then have it. */
function findCollector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}

/** glibc's malloc_trim; where there is none, nothing. */
async function findTrim(): Promise<() => void> {
  try {
    const { default: koffi } = await import("./foreign.js");
    const all = koffi.load(null).func("int malloc_trim(size_t kept)");
    return () => void all(0);
  } catch {
    return () => {};
  }
}
