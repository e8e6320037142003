import { deriveSeed, generator } from "../base/random.js";
import { characterTokenizer } from "../ml/text/character-tokenizer.js";
import type { Example, GeneratedTask } from "./task.js";

/** Consonants that begin a syllable, each with the vowels that it likes: the first twice as often as the second, and so on. */
const onsets: Readonly<Record<string, string>> = {
  b: "eao",
  d: "aio",
  f: "ae",
  g: "ieu",
  h: "eu",
  j: "oa",
  k: "aei",
  l: "iae",
  m: "aiu",
  n: "oia",
  p: "eo",
  r: "uea",
  s: "iao",
  t: "ouae",
  v: "ie",
  z: "ua",
};
/** What may close a name after its last vowel; "" leaves it open. */
const codas: Readonly<Record<string, readonly string[]>> = {
  a: ["", "n", "r"],
  e: ["l", "", "n"],
  i: ["s", "", "n"],
  o: ["", "r", "l"],
  u: ["s", "m", ""],
};
const consonants = Object.keys(onsets);
const valid = new RegExp(
  `^(?:${Object.entries(onsets)
    .map(([onset, vowels]) => `${onset}[${vowels}]`)
    .join("|")}){2,3}[nrlsm]?$`,
);

/** How many names there are. */
const count = 3000;

/** Two or three syllables; a name of three is as likely as one of two. */
function name(draw: () => number): string {
  const favour = <T>(list: readonly T[]): T => {
    // Weights 1, ½, ¼, …: the language has habits that a model can learn.
    let rest = (draw() / 2 ** 32) * (2 - 2 ** (1 - list.length));
    const chosen = list.findIndex((_, i) => {
      rest -= 2 ** -i;
      return rest < 0;
    });
    return list[chosen]!;
  };
  const syllable = (): string => {
    const onset = consonants[draw() % consonants.length]!;
    return onset + favour([...onsets[onset]!]);
  };
  const stem = Array.from({ length: 2 + (draw() % 2) }, syllable).join("");
  return stem + favour(codas[stem.slice(-1)]!);
}

/**
 * Names of an invented language, from syllables by a small grammar with habits: a first letter, "k>", is completed to a
 * name that begins with it, "kalis". 3000 different names for 16 prompts; none is the one right answer, so quality is
 * what a teacher says (its NLL) and the grammar allows (`check`).
 */
export const names: GeneratedTask = {
  name: "names",
  tokenizer: () => characterTokenizer(`${consonants.join("")}aeiou>`),
  examples: () => {
    const draw = generator(deriveSeed(3n));
    const all = new Set<string>();
    while (all.size < count) all.add(name(draw));
    return Array.from(all, (completion): Example => ({ prompt: `${completion[0]}>`, completion }));
  },
  check: (prompt, completion) => {
    const last = completion.at(-1) ?? "";
    const closed = !"aeiou".includes(last);
    const vowel = closed ? completion.at(-2) : last;
    const allowed = codas[vowel ?? ""]?.includes(closed ? last : "");
    return completion[0] === prompt[0] && valid.test(completion) && allowed ? 1 : 0;
  },
};
