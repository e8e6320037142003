import type { Tokenizer } from "./tokenizer.js";

/** Tokens before one that are decoded with it: a character has at most four bytes, and a tokenizer's decoder looks no further. */
const context = 8;

/** What decoders write for bytes that are no whole character. */
const incomplete = /\ufffd+$/;

/**
 * The text of each token, for people: what the text has more with it than without it. Decoded by itself a token may lose the
 * space before it, or be part of a character. A character of several tokens stands at its last one.
 *
 * @param sequences token ids; the texts of one joined are its whole text, special tokens included
 */
export function tokenTexts(tokenizer: Pick<Tokenizer, "decodeAll">, sequences: readonly Int32Array[]): string[][] {
  const windows = sequences.flatMap((ids) =>
    Array.from(ids, (_, i) => {
      const from = Math.max(0, i - context);
      return [ids.subarray(from, i), ids.subarray(from, i + 1), ids.subarray(i, i + 1)];
    }),
  );
  const texts = tokenizer.decodeAll(windows.flat(), { skipSpecial: false });
  let tokens = 0;
  return sequences.map((ids) => {
    const first = tokens;
    tokens += ids.length;
    return Array.from(ids, (_, i) => {
      const [before = "", after = "", alone = ""] = texts.slice(3 * (first + i), 3 * (first + i + 1));
      const last = i === ids.length - 1;
      const [known, all] = [before.replace(incomplete, ""), last ? after : after.replace(incomplete, "")];
      // A decoder that tidies up may change what it had written.
      return all.startsWith(known) ? all.slice(known.length) : alone;
    });
  });
}
