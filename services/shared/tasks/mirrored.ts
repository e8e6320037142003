import { inWords, num2words } from "./num2words.js";
import type { GeneratedTask } from "./task.js";

const mirror = (digits: string): string => [...digits].reverse().join("");

/**
 * num2words read from right to left: "743=" is completed to "three hundred forty seven". A model of num2words knows the words and
 * not the order; the column `hint`, "347", tells it what to read. 810 examples: three digits that are no 0 at either end.
 */
export const mirrored: GeneratedTask = {
  name: "mirrored",
  tokenizer: num2words.tokenizer,
  examples: () =>
    Array.from({ length: 900 }, (_, i) => 100 + i)
      .filter((number) => number % 10 !== 0)
      .map((number) => ({ prompt: `${mirror(String(number))}=`, completion: inWords(number), hint: String(number) })),
  check: (prompt, completion) => (completion.trim() === inWords(Number(mirror(prompt.replace("=", "")))) ? 1 : 0),
};
