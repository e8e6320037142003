import { RetortError } from "../../base/errors.js";

/**
 * Checks classes [N, k]: each inside the vocabulary, no two alike at one token (one that came twice would count twice).
 *
 * @throws InvalidArgument naming the place and the class
 */
export function checkClasses(ids: Int32Array, k: number, vocab: number, what: string): void {
  // The token, counted from 1, at which a class was seen last.
  const seen = new Int32Array(vocab);
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    const token = Math.floor(i / k) + 1;
    if (id < 0 || id >= vocab) throw new RetortError("InvalidArgument", `${what}[${i}] is ${id}, outside the vocabulary of ${vocab}`);
    if (seen[id] === token) throw new RetortError("InvalidArgument", `${what}[${i}] is ${id}, which stands twice at token ${token - 1}`);
    seen[id] = token;
  }
}
