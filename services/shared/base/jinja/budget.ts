import { raise } from "./fault.js";

const limit = 2_000_000;

/** How much the rendering that is under way may still do. Renderings are synchronous, so there is one at a time. */
let left = limit;

/** Runs a rendering with a budget of its own. */
export function withBudget<T>(run: () => T): T {
  const outer = left;
  left = limit;
  try {
    return run();
  } finally {
    left = outer;
  }
}

/** Counts rounds of loops, items that are read and calls; raises when they are more than two million. */
export function spend(count: number): void {
  left -= count;
  if (left < 0) raise("MemoryError", `more than the limit of ${limit} rounds of loops, items and calls`);
}

/** What no text or list that an operation makes may exceed, in characters or items. */
export const maxSize = 2 ** 26;

/** Raises for a text or list that is too long. */
export function checkSize(size: number): void {
  if (size > maxSize) raise("MemoryError", `a text or list of ${size} parts is beyond the limit of ${maxSize}`);
}
