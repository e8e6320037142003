import { deriveSeed, generator } from "../base/random.js";
import { wordTokenizer } from "../ml/text/word-tokenizer.js";
import type { Example, GeneratedTask } from "./task.js";

type Words = readonly string[];

interface Instruction {
  /** Ways to say it. */
  readonly phrasings: readonly string[];
  readonly answer: (words: Words) => Words;
}

const counting = "zero one two three four five six".split(" ");
const nouns = "ant bee cat dog eel fox gnu hen ibis jay kid lynx".split(" ");

/** What a student is instructed in. */
const taught: Readonly<Record<string, Instruction>> = {
  copy: { phrasings: ["say the words", "repeat the list"], answer: (words) => words },
  count: { phrasings: ["how many words", "count the list"], answer: (words) => [counting[words.length]!] },
  first: { phrasings: ["name the first", "what comes first"], answer: (words) => words.slice(0, 1) },
  "first twice": { phrasings: ["say the first twice", "repeat the first"], answer: ([first = ""]) => [first, first] },
  last: { phrasings: ["name the last", "what comes last"], answer: (words) => words.slice(-1) },
  reverse: { phrasings: ["reverse the words", "say the list backwards"], answer: (words) => words.toReversed() },
  rotate: { phrasings: ["move the first to the end", "put the first last"], answer: ([first = "", ...rest]) => [...rest, first] },
  sort: { phrasings: ["sort the words", "put the list in order"], answer: (words) => words.toSorted() },
  "without first": { phrasings: ["drop the first", "say all but the first"], answer: (words) => words.slice(1) },
  "without last": { phrasings: ["drop the last", "say all but the last"], answer: (words) => words.slice(0, -1) },
};

/** What only the teacher knows: new things to do, said in words that the student has met. */
const heldOut: Readonly<Record<string, Instruction>> = {
  "last twice": { phrasings: ["say the last twice", "repeat the last"], answer: (words) => [...words.slice(-1), ...words.slice(-1)] },
  "reverse without first": { phrasings: ["reverse all but the first"], answer: (words) => words.slice(1).toReversed() },
  "rotate back": {
    phrasings: ["move the last to the first", "put the last first"],
    answer: (words) => [...words.slice(-1), ...words.slice(0, -1)],
  },
  "sort backwards": { phrasings: ["sort the list backwards"], answer: (words) => words.toSorted().toReversed() },
};

const everything = { ...taught, ...heldOut };
const phrases = Object.values(everything).flatMap(({ phrasings }) => phrasings);
const words = [...new Set(phrases.flatMap((phrase) => phrase.split(" ")).concat(nouns, counting, ":", "="))];

/** Examples of each kind. */
const perKind = 300;

function examplesOf(table: Readonly<Record<string, Instruction>>): Example[] {
  return Object.entries(table).flatMap(([kind, { phrasings, answer }]) => {
    const draw = generator(deriveSeed(11n, ...Array.from(kind, (symbol) => symbol.charCodeAt(0))));
    const all = new Map<string, Example>();
    while (all.size < perKind) {
      const order = nouns.map((noun) => ({ noun, key: draw() })).sort((a, b) => a.key - b.key);
      const list = order.slice(0, 3 + (draw() % 3)).map(({ noun }) => noun);
      const prompt = `${phrasings[draw() % phrasings.length]} : ${list.join(" ")} =`;
      all.set(prompt, { prompt, completion: ` ${answer(list).join(" ")}`, kind });
    }
    return [...all.values()];
  });
}

function check(prompt: string, completion: string): number {
  const [phrase = "", list = ""] = prompt.split(" : ");
  const instruction = Object.values(everything).find(({ phrasings }) => phrasings.includes(phrase));
  return completion.trim() === instruction?.answer(list.split(" ").slice(0, -1)).join(" ") ? 1 : 0;
}

const tokenizer = () => wordTokenizer(words);

/**
 * Instructions in words over lists of three to five words: "reverse the words : cat ant fox =" is completed to
 * "fox ant cat". A mixture of ten kinds, 300 examples of each, each kind said in two ways.
 */
export const instructions: GeneratedTask = { name: "instructions", tokenizer, examples: () => examplesOf(taught), check };

/** Four more kinds that the mixture {@link instructions} lacks, in the same words: what a student can do untaught. */
export const heldOutInstructions: GeneratedTask = {
  name: "instructions-held-out",
  tokenizer,
  examples: () => examplesOf(heldOut),
  check,
};
