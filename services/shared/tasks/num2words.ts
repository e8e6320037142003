import { characterTokenizer } from "../ml/text/character-tokenizer.js";
import type { GeneratedTask } from "./task.js";

const small = [
  "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen",
  "seventeen eighteen nineteen",
]
  .join(" ")
  .split(" ");
const tens = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split(" ");

/** Every word of a number. */
export const numberWords: readonly string[] = [...small, ...tens.filter((word) => word !== "_"), "hundred"];

/** Every character of its texts. */
export const numberCharacters = "0123456789= abcdefghijklmnopqrstuvwxyz";

/** A number from 0 to 999 in English words: 347 is "three hundred forty seven". */
export function inWords(number: number): string {
  if (number < 20) return small[number]!;
  if (number < 100) return tens[Math.floor(number / 10)]! + (number % 10 ? ` ${small[number % 10]}` : "");
  return `${small[Math.floor(number / 100)]} hundred${number % 100 ? ` ${inWords(number % 100)}` : ""}`;
}

/** Numbers to words, character by character: "347=" is completed to "three hundred forty seven". 1000 examples. */
export const num2words: GeneratedTask = {
  name: "num2words",
  tokenizer: () => characterTokenizer(numberCharacters),
  examples: () => Array.from({ length: 1000 }, (_, number) => ({ prompt: `${number}=`, completion: inWords(number) })),
  check: (prompt, completion) => (completion.trim() === inWords(Number.parseInt(prompt, 10)) ? 1 : 0),
};
