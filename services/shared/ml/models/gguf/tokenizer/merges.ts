import type { GgufFields } from "../header/fields.js";

/**
 * The merges that a file lists, best first; undefined if it lists none.
 *
 * @param vocab ids of the tokens as the vocabulary spells them
 * @throws InvalidArgument naming the first that does not make a token of two
 */
export function listedMerges(ggml: GgufFields, vocab: ReadonlyMap<string, number>): [string, string][] | undefined {
  return ggml.texts("merges")?.map((merge, i) => {
    // A part may begin with a space, never hold one.
    const at = merge.indexOf(" ", 1);
    const pair: [string, string] = [merge.slice(0, at), merge.slice(at + 1)];
    if (at > 0 && [...pair, pair.join("")].every((part) => vocab.has(part))) return pair;
    throw ggml.refused("merges", `pairs of tokens that are one together; merge ${i}, ${JSON.stringify(merge)}, is none`);
  });
}
