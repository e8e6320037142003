import { raise } from "./fault.js";

/** Rounds of loops, items that are read and calls of one rendering. */
const limit = 2_000_000;

/** Characters and items that the operations of one rendering may read and make, all together. */
const maxWork = 2 ** 29;

/** Milliseconds of one rendering: a thousand times what a long conversation takes. */
const maxMs = 10_000;

/** Calls, and lists and dicts within each other, that are under way at a time; beyond them the stack would end first. */
const maxDepth = 100;

/** What the rendering that is under way may still do. Renderings are synchronous, so there is one at a time. */
let left = limit;
let work = maxWork;
let until = Number.POSITIVE_INFINITY;
let depth = 0;
let looked = 0;

/** Runs a rendering with a budget of its own. */
export function withBudget<T>(run: () => T): T {
  const outer = [left, work, until, depth] as const;
  [left, work, until, depth] = [limit, maxWork, performance.now() + maxMs, 0];
  try {
    return run();
  } finally {
    [left, work, until, depth] = outer;
  }
}

/** Counts rounds of loops, items that are read and calls; raises when they are more than two million, or time is up. */
export function spend(count: number): void {
  left -= count;
  if (left < 0) raise("MemoryError", `more than the limit of ${limit} rounds of loops, items and calls`);
  if ((++looked & 255) === 0) checkTime();
}

/** Counts what an operation reads or makes: a text by its characters, a list or tuple by its items, other values not at all. */
export function handle<T>(value: T): T {
  const size = sizeOf(value);
  if (size > 0) handleSize(size);
  return value;
}

/** Counts so many characters or items; raises when they are too many for one text or list, or for one rendering. */
export function handleSize(size: number): void {
  checkSize(size);
  work -= size;
  if (work < 0) raise("MemoryError", `more than the limit of ${maxWork} characters and items that are read and made`);
  if (size > 4096 || (++looked & 255) === 0) checkTime();
}

function sizeOf(value: unknown): number {
  if (typeof value === "string" || Array.isArray(value)) return value.length;
  if (typeof value !== "object" || value === null) return 0;
  const { text, items } = value as { text?: unknown; items?: unknown };
  return typeof text === "string" ? text.length : Array.isArray(items) ? items.length : 0;
}

function checkTime(): void {
  if (performance.now() > until) raise("TimeoutError", `more than the limit of ${maxMs / 1000} s`);
}

/** Runs what goes one deeper: a call, or a look into a list or dict. Raises when it is too deep. */
export function nested<T>(run: () => T): T {
  if (depth >= maxDepth) raise("RecursionError", `more than the limit of ${maxDepth} calls, or lists and dicts, within each other`);
  depth++;
  try {
    return run();
  } finally {
    depth--;
  }
}

/** What no text or list that an operation makes may exceed, in characters or items. */
export const maxSize = 2 ** 24;

/** Raises for a text or list that is too long. */
export function checkSize(size: number): void {
  if (size > maxSize) raise("MemoryError", `a text or list of ${size} parts is beyond the limit of ${maxSize}`);
}
