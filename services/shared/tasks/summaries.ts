import { deriveSeed, generator } from "../base/random.js";
import { wordTokenizer } from "../ml/text/word-tokenizer.js";
import type { Example, GeneratedTask } from "./task.js";

const people = "ada ben cleo dan eva finn gil hana".split(" ");
/** What people do: each verb of a report with the word that a summary may use instead, and what it is done to. */
const deeds: Readonly<Record<string, { readonly other: string; readonly objects: readonly string[] }>> = {
  ate: { other: "had", objects: ["soup", "bread", "plums"] },
  bought: { other: "got", objects: ["bread", "paint", "a boat"] },
  cleaned: { other: "washed", objects: ["a boat", "windows", "shoes"] },
  lost: { other: "mislaid", objects: ["keys", "shoes", "a map"] },
  made: { other: "built", objects: ["a map", "a table", "soup"] },
  saw: { other: "noticed", objects: ["a fox", "rain", "keys"] },
  sold: { other: "traded", objects: ["plums", "a table", "paint"] },
};
const verbs = Object.keys(deeds);
const words = [
  ...people,
  ...verbs,
  ...verbs.map((verb) => deeds[verb]!.other),
  ...verbs.flatMap((verb) => deeds[verb]!.objects).flatMap((object) => object.split(" ")),
  ".",
  "sum:",
  "and",
];

/** How many reports there are. */
const count = 3000;

interface Fact {
  readonly who: string;
  readonly verb: string;
  readonly object: string;
}

const sentence = ({ who, verb, object }: Fact): string => `${who} ${verb} ${object} .`;

/** Facts of a report. */
function factsOf(prompt: string): Fact[] {
  return prompt.split(" . ").flatMap((text) => {
    const [who = "", verb = "", ...object] = text.split(" ");
    return object.length ? [{ who, verb, object: object.join(" ") }] : [];
  });
}

/** The person whom most facts are about. */
function topicOf(facts: readonly Fact[]): string {
  const times = (who: string) => facts.filter((fact) => fact.who === who).length;
  return facts.reduce((best, { who }) => (times(who) > times(best) ? who : best), facts[0]!.who);
}

/** A report: three facts about one person, and one or two about others. */
function report(draw: () => number): string {
  const pick = <T>(list: readonly T[]): T => list[draw() % list.length]!;
  const shuffled = <T>(list: readonly T[]): T[] =>
    list
      .map((item) => ({ item, key: draw() }))
      .sort((a, b) => a.key - b.key)
      .map(({ item }) => item);
  const [topic = "", other = "", third = ""] = shuffled(people);
  const actors = [topic, topic, topic, other, ...(draw() % 2 ? [third] : [])];
  const acts = shuffled(verbs);
  return `${shuffled(actors.map((who, i) => sentence({ who, verb: acts[i]!, object: pick(deeds[acts[i]!]!.objects) }))).join(" ")} sum:`;
}

const drawFor = (prompt: string, ...path: readonly number[]): (() => number) =>
  generator(deriveSeed(7n, ...path, ...Array.from(prompt, (symbol) => symbol.charCodeAt(0))));

/** Two of the facts about the topic, in the order that they are told. */
function chosen(facts: readonly Fact[], topic: string, draw: () => number): [Fact, Fact] {
  const own = facts.filter(({ who }) => who === topic);
  const first = draw() % own.length;
  const second = (first + 1 + (draw() % (own.length - 1))) % own.length;
  return [own[first]!, own[second]!];
}

/** Words of a summary; each deed in either of its two words. */
function tell(who: string, facts: readonly Fact[], draw: () => number): string {
  const told = facts.map(({ verb, object }) => `${draw() % 2 ? verb : deeds[verb]!.other} ${object}`);
  return ` ${who} ${told.join(" and ")}`;
}

function summary({ prompt }: Pick<Example, "prompt">, variant: number): string {
  const facts = factsOf(prompt);
  const draw = drawFor(prompt, variant);
  const topic = topicOf(facts);
  return tell(topic, chosen(facts, topic, draw), draw);
}

/** A summary with one mistake: another person, a fact told twice, a fact of another person, another object, or another deed. */
function mistaken({ prompt }: Pick<Example, "prompt">, variant: number): string {
  const facts = factsOf(prompt);
  const draw = drawFor(prompt, variant, 1);
  const pick = <T>(list: readonly T[]): T => list[draw() % list.length]!;
  const topic = topicOf(facts);
  const [kept, fact] = chosen(facts, topic, draw);
  const mistakes = [
    () => tell(pick(facts.filter(({ who }) => who !== topic)).who, [kept, fact], draw),
    () => tell(topic, [kept, kept], draw),
    () => tell(topic, [kept, pick(facts.filter(({ who }) => who !== topic))], draw),
    () => tell(topic, [kept, { ...fact, object: pick(deeds[fact.verb]!.objects.filter((object) => object !== fact.object)) }], draw),
    () => {
      const verb = pick(verbs.filter((one) => !facts.some((known) => known.verb === one)));
      return tell(topic, [kept, { who: topic, verb, object: pick(deeds[verb]!.objects) }], draw);
    },
  ];
  return pick(mistakes)();
}

const plain = (verb: string): string => verbs.find((known) => deeds[known]!.other === verb) ?? verb;

/**
 * Summaries of short reports: "eva ate soup . ben saw rain . eva lost keys . eva made a map . sum:" is completed to the
 * person whom most facts are about and two of these facts, in any order and with either of two words for each deed:
 * "eva mislaid keys and had soup", one of 24 right answers. `check` is faithfulness: the share of the two stated facts
 * that the report bears out, 0 for another person, form, or the same fact twice. 3000 reports.
 */
export const summaries: GeneratedTask = {
  name: "summaries",
  tokenizer: () => wordTokenizer(words),
  examples: () => {
    const draw = generator(deriveSeed(7n));
    const all = new Set<string>();
    while (all.size < count) all.add(report(draw));
    return Array.from(all, (prompt): Example => ({ prompt, completion: summary({ prompt }, 0) }));
  },
  vary: summary,
  corrupt: mistaken,
  check: (prompt, completion) => {
    const facts = factsOf(prompt);
    const [who, ...rest] = completion.trim().split(" ");
    const told = rest.join(" ").split(" and ");
    if (who !== topicOf(facts) || told.length !== 2) return 0;
    const found = told.map((text) => {
      const [verb = "", ...object] = text.split(" ");
      return facts.findIndex((fact) => fact.who === who && fact.verb === plain(verb) && fact.object === object.join(" "));
    });
    const borne = found.filter((i) => i >= 0);
    return found[0] === found[1] ? 0 : borne.length / 2;
  },
};
