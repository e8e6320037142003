import { deriveSeed, generator } from "../base/random.js";
import { wordLevelTokenizer } from "../ml/text/word-level.js";
import type { Example, GeneratedTask, TurnRow } from "./task.js";

const operators = {
  "+": (a: number, b: number) => a + b,
  "-": (a: number, b: number) => a - b,
  "*": (a: number, b: number) => a * b,
} as const;
type Operator = keyof typeof operators;

/** A message of a conversation with the tool. */
interface ToolMessage {
  readonly role: "user" | "assistant" | "tool";
  readonly content: string;
}

/** How many problems there are, and the largest number that one passes through. */
const [count, largest] = [2000, 999];

/** What opens and closes a call, each a token of its own. */
const [opens, closes] = ['<tool_call>{"name": "calculator", "arguments": {"expression": "', '"}}</tool_call>'];

const callOf = (expression: string): string => `${opens}${expression}${closes}`;

/** One line per message, each role a token: what the assistant says ends with the end token. */
const template =
  "{%- for message in messages -%}{{ '<|' + message.role + '|>' + message.content }}{%- if message.role == 'assistant' -%}{{ eos_token }}{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}";

const roles = ["<|user|>", "<|assistant|>", "<|tool|>"];
const escaped = (text: string): string => text.replace(/[|\\{}()[\]^$+*?.]/g, "\\$&");
const tokens = [...roles, opens, closes, "error: ", ..."0123456789+-*.,;="];
const pattern = [...roles, opens, closes, "error: "].map(escaped).concat("[\\s\\S]").join("|");

/** A problem: a number, and what is done to it, one after the other. */
interface Problem {
  readonly start: number;
  readonly steps: readonly { readonly operator: Operator; readonly operand: number }[];
}

/** "17+25*3=": from left to right, as a pocket calculator goes, so that no call of all of it is right. */
const questionOf = ({ start, steps }: Problem): string =>
  `${start}${steps.map(({ operator, operand }) => `${operator}${operand}`).join("")}=`;

function problemOf(question: string): Problem {
  const [, first = "", rest = ""] = /^(\d+)(.*)=$/.exec(question) ?? [];
  const steps = Array.from(rest.matchAll(/([-+*])(\d+)/g), ([, operator, operand]) => ({
    operator: operator as Operator,
    operand: Number(operand),
  }));
  return { start: Number(first), steps };
}

/** The number after each step. */
function resultsOf({ start, steps }: Problem): number[] {
  let value = start;
  return steps.map(({ operator, operand }) => (value = operators[operator](value, operand)));
}

function problem(draw: () => number): Problem {
  for (;;) {
    const steps = Array.from({ length: 2 + (draw() % 2) }, () => {
      const operator = Object.keys(operators)[draw() % 3] as Operator;
      return { operator, operand: operator === "*" ? 2 + (draw() % 8) : 1 + (draw() % 99) };
    });
    const found = { start: 1 + (draw() % 99), steps };
    if (resultsOf(found).every((value) => value >= 0 && value <= largest)) return found;
  }
}

/** The calls that solve a problem, each a step with the number before it. */
const callsOf = (problem: Problem): string[] => {
  const results = [problem.start, ...resultsOf(problem)];
  return problem.steps.map(({ operator, operand }, i) => `${results[i]}${operator}${operand}`);
};

/** What the tool says to a call of one step. */
const said = (expression: string): ToolMessage => {
  const [, a = "0", operator = "+", b = "0"] = /^(\d+)([-+*])(\d+)$/.exec(expression) ?? [];
  return { role: "tool", content: String(operators[operator as Operator](Number(a), Number(b))) };
};

/** A call that is wrong in one of the ways in which a student's are: another step, or another number. */
function slip(problem: Problem, at: number, draw: () => number): string {
  const before = [problem.start, ...resultsOf(problem)][at] ?? 0;
  const { operator, operand } = problem.steps[draw() % problem.steps.length] ?? { operator: "+" as const, operand: 1 };
  return draw() % 2 === 0 ? `${before}${operator}${1 + (draw() % 99)}` : `${draw() % largest}${operator}${operand}`;
}

/** The turns of a solution, each a row of its own: the calls, and the answer. */
function turnsOf(question: string, slips: number, variant: number): TurnRow[] {
  const solved = problemOf(question);
  const draw = generator(deriveSeed(11n, variant, ...Array.from(question, (symbol) => symbol.charCodeAt(0))));
  const before: ToolMessage[] = [{ role: "user", content: question }];
  const rows: TurnRow[] = [];
  const call = (expression: string) => before.push({ role: "assistant", content: callOf(expression) }, said(expression));
  for (const [at, expression] of callsOf(solved).entries()) {
    while (draw() / 2 ** 32 < slips) call(slip(solved, at, draw));
    rows.push({ prompt: [...before], completion: callOf(expression) });
    call(expression);
  }
  return [...rows, { prompt: before, completion: String(resultsOf(solved).at(-1)) }];
}

/**
 * A pocket calculator's sums with the tool `calculator`: "17+25*3=" is done from left to right, a call to a step, "17+25", then
 * "42*3", and the answer is 126. The tool itself knows that products come first, so that a call of the whole is wrong. 2000 problems of two or three
 * steps; the completion is the answer.
 */
export const toolUse: GeneratedTask = {
  name: "tool-use",
  tokenizer: () => wordLevelTokenizer(tokens, pattern, template),
  examples: () => {
    const draw = generator(deriveSeed(11n));
    const all = new Set<string>();
    while (all.size < count) all.add(questionOf(problem(draw)));
    return Array.from(all, (prompt): Example => ({ prompt, completion: String(resultsOf(problemOf(prompt)).at(-1)) }));
  },
  turns: ({ prompt }, slips, variant) => turnsOf(prompt, slips, variant),
  check: (prompt, completion) => (completion.trim() === String(resultsOf(problemOf(prompt)).at(-1)) ? 1 : 0),
};
