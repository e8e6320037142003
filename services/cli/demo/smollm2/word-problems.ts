import { deriveSeed, generator } from "../../../shared/base/random.js";

const names = [
  "Anna",
  "Ben",
  "Carla",
  "David",
  "Emma",
  "Felix",
  "Grace",
  "Hassan",
  "Ines",
  "Jonas",
  "Kira",
  "Liam",
  "Maya",
  "Noah",
  "Olga",
];
const things = ["apples", "books", "cards", "coins", "cookies", "flowers", "marbles", "pencils", "shells", "stamps", "stickers", "toys"];

/** What a problem is made of: a name, another one, a thing, and numbers from 2 on. */
interface Parts {
  readonly name: string;
  readonly other: string;
  readonly thing: string;
  /** A whole number from 2 to the given one. */
  readonly upTo: (most: number) => number;
}

/** Each makes one kind of problem. */
const kinds: readonly ((parts: Parts) => string)[] = [
  ({ name, other, thing, upTo }) =>
    `${name} has ${10 + upTo(40)} ${thing} and gives ${upTo(9)} of them to ${other}. Then ${name} finds ${upTo(12)} more. How many ${thing} does ${name} have now?`,
  ({ name, thing, upTo }) =>
    `${name} buys ${upTo(9)} boxes of ${thing}. Each box holds ${upTo(12)} ${thing} and costs $${upTo(8)}. How much does ${name} pay for all of them?`,
  ({ name, other, thing, upTo }) =>
    `${name} collected ${upTo(30)} ${thing} on Monday and twice as many on Tuesday. ${other} collected ${upTo(20)}. How many ${thing} did they collect together?`,
  ({ name, upTo }) => `${name} reads ${4 + upTo(20)} pages every day. How many pages does ${name} read in ${upTo(4)} weeks?`,
  ({ name, other, upTo }) =>
    `${name} is ${upTo(9)} years older than ${other}. In ${upTo(6)} years ${other} will be ${12 + upTo(20)}. How old is ${name} now?`,
  ({ name, thing, upTo }) =>
    `${name} sells ${thing} for $${upTo(6)} each. In the morning ${name} sells ${5 + upTo(20)} of them and in the afternoon ${upTo(15)}. How much money does ${name} earn?`,
  ({ name, upTo }) =>
    `A train travels ${40 + upTo(50)} miles every hour. ${name} rides on it for ${upTo(6)} hours. How many miles does ${name} travel?`,
  ({ name, other, thing, upTo }) =>
    `${name} and ${other} share ${10 * (1 + upTo(8))} ${thing} equally. ${name} loses ${upTo(4)} of them. How many ${thing} does ${name} have left?`,
  ({ name, upTo }) =>
    `${name} earns $${8 + upTo(12)} an hour and works ${upTo(8)} hours a day. How much does ${name} earn in ${upTo(5)} days?`,
  ({ name, thing, upTo }) =>
    `There are ${upTo(12)} shelves with ${upTo(15)} ${thing} on each. ${name} takes away ${upTo(10)}. How many ${thing} are left?`,
];

/** So many different problems of arithmetic in words, as a primary school sets them; the same of the same seed. */
export function wordProblems(count: number, seed: bigint): string[] {
  const next = generator(deriveSeed(seed, 0x776f7264));
  const upTo = (most: number) => 2 + (next() % (most - 1));
  const of = <T>(list: readonly T[]): T => list[next() % list.length] as T;
  const problems = new Set<string>();
  while (problems.size < count) {
    const name = of(names);
    problems.add(of(kinds)({ name, other: of(names.filter((one) => one !== name)), thing: of(things), upTo }));
  }
  return [...problems];
}
