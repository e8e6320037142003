import { deriveSeed, generator } from "../base/random.js";
import { characterTokenizer } from "../ml/text/character-tokenizer.js";
import type { Example, GeneratedTask } from "./task.js";

const operators = {
  "*": (a: number, b: number) => (a * b) % 10,
  "+": (a: number, b: number) => (a + b) % 10,
  "-": (a: number, b: number) => (a - b + 10) % 10,
} as const;
type Operator = keyof typeof operators;

/** How many expressions there are. */
const count = 3000;
/** Share of the steps that are first written wrong and then taken back. */
const slips = 0.12;

/** The steps of a stack calculator over an expression in reverse Polish notation, each as "7+2=" and its result. */
function steps(expression: string): { readonly sum: string; readonly result: number }[] {
  const stack: number[] = [];
  const done: { sum: string; result: number }[] = [];
  for (const symbol of expression) {
    if (!(symbol in operators)) {
      stack.push(Number(symbol));
      continue;
    }
    const [b = 0, a = 0] = [stack.pop(), stack.pop()];
    const result = operators[symbol as Operator](a, b);
    stack.push(result);
    done.push({ sum: `${a}${symbol}${b}=`, result });
  }
  return done;
}

const expressionOf = (prompt: string): string => prompt.slice(0, -1);

/** The working, with slips: a wrong result, "!", and the step again. */
function working(example: Pick<Example, "prompt">, variant: number): string {
  const draw = generator(deriveSeed(5n, variant, ...Array.from(example.prompt, (symbol) => symbol.charCodeAt(0))));
  const lines = steps(expressionOf(example.prompt)).map(({ sum, result }) => {
    const slip = draw() / 2 ** 32 < slips;
    const wrong = (result + 1 + (draw() % 9)) % 10;
    return `${slip ? `${sum}${wrong}!` : ""}${sum}${result}`;
  });
  return lines.join(",");
}

/** An expression of two or three operators. */
function expression(draw: () => number): string {
  let [text, depth, left] = ["", 0, 2 + (draw() % 2)];
  let digits = left + 1;
  while (left > 0) {
    const operand = digits > 0 && (depth < 2 || draw() % 2 === 0);
    text += operand ? String(draw() % 10) : Object.keys(operators)[draw() % 3]!;
    if (operand) digits--;
    else left--;
    depth += operand ? 1 : -1;
  }
  return text;
}

const form = /^(?:\d[*+-]\d=\d[,!])*\d[*+-]\d=(\d)$/;

/**
 * A stack calculator, modulo 10, with its steps: "72+5*:" is completed to "7+2=9,9*5=5". A wrong step may be taken back:
 * "7+2=8!7+2=9,9*5=5"; the examples have such slips, so errors on the way can be recovered. The answer is the last
 * result. 3000 expressions of two or three operators.
 */
export const calculator: GeneratedTask = {
  name: "calculator",
  tokenizer: () => characterTokenizer("0123456789*+-=,!:"),
  examples: () => {
    const draw = generator(deriveSeed(5n));
    const all = new Set<string>();
    while (all.size < count) all.add(`${expression(draw)}:`);
    return Array.from(all, (prompt): Example => ({ prompt, completion: working({ prompt }, 0) }));
  },
  vary: working,
  check: (prompt, completion) => {
    const answer = form.exec(completion.trim())?.[1];
    return answer !== undefined && Number(answer) === steps(expressionOf(prompt)).at(-1)?.result ? 1 : 0;
  },
};
