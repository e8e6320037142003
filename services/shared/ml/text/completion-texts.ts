import type { TextLayout } from "./encoder.js";
import type { Tokenizer } from "./tokenizer.js";

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
