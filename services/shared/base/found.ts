import { RetortError } from "./errors.js";

/**
 * A value that is there by construction, such as a table's entry of a known name or a field that a server always fills.
 *
 * @param what what it is, as the subject of a sentence: `the answer's run`
 * @throws Internal if it is missing, which is a bug
 */
export function found<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new RetortError("Internal", `${what} is missing`);
  return value;
}
