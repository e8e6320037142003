import type { Tokenizer } from "./tokenizer.js";
import { wordLevelTokenizer } from "./word-level.js";

/** A tokenizer with one token per word of `words`, alone or with the space before it: for generated tasks. */
export function wordTokenizer(words: readonly string[]): Tokenizer {
  const different = [...new Set(words)];
  return wordLevelTokenizer([...different.map((word) => ` ${word}`), ...different], " ?[^ ]+");
}
