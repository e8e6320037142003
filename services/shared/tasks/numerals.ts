import { inWords, num2words } from "./num2words.js";
import type { Example, GeneratedTask } from "./task.js";

/** Every so manieth number is in the smaller domain. */
const every = 3;

const toWords = (number: number): Example => ({ prompt: `${number}=`, completion: inWords(number), kind: "words" });
const toDigits = (number: number): Example => ({ prompt: `${inWords(number)}=`, completion: String(number), kind: "digits" });

/**
 * Two domains of unlike weight, in the characters of num2words: of the kind `words`, 1000 examples with long completions ("347=" to
 * "three hundred forty seven"); of the kind `digits`, 334 with short ones, the other way round.
 */
export const numerals: GeneratedTask = {
  name: "numerals",
  tokenizer: num2words.tokenizer,
  examples: () => {
    const numbers = Array.from({ length: 1000 }, (_, number) => number);
    return [...numbers.map(toWords), ...numbers.filter((number) => number % every === 0).map(toDigits)];
  },
  check: (prompt, completion) => {
    if (/^\d/.test(prompt)) return num2words.check(prompt, completion);
    const digits = completion.trim();
    return /^\d{1,3}$/.test(digits) && `${inWords(Number(digits))}=` === prompt ? 1 : 0;
  },
};
