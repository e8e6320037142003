import type { Tokenizer } from "./tokenizer.js";

/**
 * Whether a model reads a prompt and its completion as one text, as a decoder does, or as two, as an encoder-decoder does:
 * the prompt with its encoder, with what the tokenizer puts around every text.
 */
export type TextLayout = "one" | "two";

/** The texts of sampled completions; see {@link Encoder.completionTexts}. */
export function completionTexts(
  tokenizer: Tokenizer,
  sequences: readonly { readonly promptIds: Int32Array; readonly ids: Iterable<number> }[],
  layout: TextLayout = "one",
): string[] {
  if (layout === "two") return tokenizer.decodeAll(sequences.map(({ ids }) => ids));
  const wholes = sequences.map(({ promptIds, ids }) => Int32Array.from([...promptIds, ...ids]));
  const texts = tokenizer.decodeAll([...sequences.map(({ promptIds }) => promptIds), ...wholes]);
  return sequences.map(({ ids }, i) => {
    // A prompt may end within a character, which the completion then finishes.
    const before = texts[i]!.replace(/\uFFFD+$/, "");
    const whole = texts[sequences.length + i]!;
    return whole.startsWith(before) ? whole.slice(before.length) : tokenizer.decode(ids);
  });
}
