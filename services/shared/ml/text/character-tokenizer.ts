import type { Tokenizer } from "./tokenizer.js";
import { wordLevelTokenizer } from "./word-level.js";

/** A tokenizer with one token per character of `alphabet`: for generated tasks. */
export const characterTokenizer = (alphabet: string): Tokenizer => wordLevelTokenizer([...new Set(alphabet)], "");
