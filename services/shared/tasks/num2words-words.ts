import { wordLevelTokenizer } from "../ml/text/word-level.js";
import { num2words, numberCharacters, numberWords } from "./num2words.js";
import type { GeneratedTask } from "./task.js";

/** Longer words first: "sixty" is no "six" with letters behind it. */
const words = numberWords.toSorted((a, b) => b.length - a.length);

/**
 * {@link num2words} word by word: the same examples, where a number's word is one token, with or without the space before it, and whatever is none
 * is written in characters. Its models and those of num2words have different tokenizers for the same texts.
 */
export const num2wordsWords: GeneratedTask = {
  ...num2words,
  name: "num2words-words",
  tokenizer: () => wordLevelTokenizer([...numberCharacters, ...words.flatMap((word) => [word, ` ${word}`])], ` ?(?:${words.join("|")})|.`),
};
