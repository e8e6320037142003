import { raise } from "../fault.js";

/** Most characters of a template. */
const maxSource = 2 ** 22;

/** Most levels of a template: statements within statements, expressions within expressions, and links of one chain (`a.b.c`). */
const maxLevels = 150;

/** Refuses a template that is too long. */
export function checkSource(source: string): void {
  if (source.length > maxSource) raise("MemoryError", `a template of ${source.length} characters is beyond the limit of ${maxSource}`);
}

let levels = 0;

/** Parses what is within something else; raises when it is too deep, before the stack is. */
export function within<T>(parse: () => T): T {
  if (levels >= maxLevels) tooDeep();
  levels++;
  try {
    return parse();
  } finally {
    levels--;
  }
}

/** Refuses a tree that is too deep, however it became so. It is walked without calls within calls. */
export function checkDepth(tree: unknown): void {
  let level: unknown[] = [tree];
  // Between two nodes lie at most a list and a pair.
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > 3 * maxLevels) tooDeep();
    level = level.flatMap((node) => (typeof node === "object" && node !== null ? Object.values(node) : [])).filter(isTree);
  }
}

const isTree = (value: unknown): boolean => typeof value === "object" && value !== null;

const tooDeep = (): never => raise("RecursionError", `the template has more than ${maxLevels} levels within each other; write it flatter`);
