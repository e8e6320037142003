/** A value of a file that has no exact text; it is refused only where something reads it. */
export class Unreadable {
  /** In a sentence's words: "a decimal". */
  readonly what: string;

  constructor(what: string) {
    this.what = what;
  }
}

/** Lists and objects within each other that are looked into. */
export const deepest = 1000;

/** The first such value within a value, or what lies too deep in it; undefined if there is none. */
export function unreadableIn(value: unknown, depth = 0): Unreadable | undefined {
  if (value instanceof Unreadable) return value;
  if (typeof value !== "object" || value === null) return undefined;
  if (depth > deepest) return new Unreadable(`more than ${deepest} lists and objects within each other`);
  for (const part of Array.isArray(value) ? value : Object.values(value)) {
    const found = unreadableIn(part, depth + 1);
    if (found) return found;
  }
  return undefined;
}
