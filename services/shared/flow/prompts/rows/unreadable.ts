/** A value of a file that has no exact text; it is refused only where something reads it. */
export class Unreadable {
  /** In a sentence's words: "a decimal". */
  readonly what: string;

  constructor(what: string) {
    this.what = what;
  }
}

/** The first such value within a value; undefined if there is none. */
export function unreadableIn(value: unknown): Unreadable | undefined {
  if (value instanceof Unreadable) return value;
  if (typeof value !== "object" || value === null) return undefined;
  for (const part of Array.isArray(value) ? value : Object.values(value)) {
    const found = unreadableIn(part);
    if (found) return found;
  }
  return undefined;
}
