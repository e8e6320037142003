import { found } from "../base/found.js";
import { deriveSeed, generator } from "../base/random.js";
import { wordLevelTokenizer } from "../ml/text/word-level.js";
import { compute, spelled } from "./arithmetic.js";
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

/** How many problems there are, the largest number that one passes through, and the least and most operators of one. */
const [count, largest, fewest, most] = [2000, 999, 3, 6];

/** What opens and closes a call, each a token of its own. */
const [opens, closes] = ['<tool_call>{"name": "calculator", "arguments": {"expression": "', '"}}</tool_call>'];

const callOf = (expression: string): string => `${opens}${expression}${closes}`;

/** One line per message, each role a token: what the assistant says ends with the end token. */
const template =
  "{%- for message in messages -%}{{ '<|' + message.role + '|>' + message.content }}{%- if message.role == 'assistant' -%}{{ eos_token }}{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}";

const roles = ["<|user|>", "<|assistant|>", "<|tool|>"];
/** What the environment `calculator` says of a call that comes to nothing, each a token. */
const complaints = [
  "error: ",
  "a bracket is not closed",
  "a number",
  " is missing or misplaced",
  " is not expected there",
  "the expression is empty",
  "the call is no JSON object",
];
const escaped = (text: string): string => text.replace(/[|\\{}()[\]^$+*?.]/g, "\\$&");
const whole = [...roles, opens, closes, ...complaints];
const tokens = [...whole, ...'0123456789+-*().,;="'];
const pattern = whole.map(escaped).concat("[\\s\\S]").join("|");

/** A problem: a number, and what is done to it, one after the other. */
interface Problem {
  readonly start: number;
  readonly steps: readonly { readonly operator: Operator; readonly operand: number }[];
}

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

const answerOf = (question: string): string => String(resultsOf(problemOf(question)).at(-1));

function problem(draw: () => number): Problem {
  const digit = () => 1 + (draw() % 9);
  for (;;) {
    const steps = Array.from({ length: fewest + (draw() % (most - fewest + 1)) }, () => ({
      operator: found((Object.keys(operators) as Operator[])[draw() % 3], "an operator"),
      operand: digit(),
    }));
    const drawn = { start: digit(), steps };
    if (resultsOf(drawn).every((value) => value >= 0 && value <= largest)) return drawn;
  }
}

/** The call that computes a problem: a bracket around all that comes before each operator but the first. */
function expressionOf({ start, steps }: Problem): string {
  const parts = steps.map(({ operator, operand }, i) => `${operator}${operand}${i < steps.length - 1 ? ")" : ""}`);
  return `${"(".repeat(steps.length - 1)}${start}${parts.join("")}`;
}

/** What the tool says to a call. */
function said(expression: string): ToolMessage {
  const computed = compute(expression);
  return { role: "tool", content: "value" in computed ? spelled(computed.value) : `error: ${computed.problem}` };
}

/** A call that comes to nothing, in one of the ways in which a student's do: brackets too many, too few, or a symbol left out or twice. */
function slip(expression: string, draw: () => number): string {
  for (;;) {
    const at = draw() % expression.length;
    const kinds = [
      () => `(${expression}`,
      () => expression.slice(1),
      () => expression.slice(0, at) + expression.slice(at + 1),
      () => expression.slice(0, at) + expression.slice(at, at + 1) + expression.slice(at),
    ];
    const wrong = found(kinds[draw() % kinds.length], "a kind of slip")();
    if ("problem" in compute(wrong)) return wrong;
  }
}

/** The turns of a solution, each a row of its own: the call, behind calls that came to nothing, and the answer. */
function turnsOf(question: string, slips: number, variant: number): TurnRow[] {
  const expression = expressionOf(problemOf(question));
  const draw = generator(deriveSeed(11n, variant, ...Array.from(question, (symbol) => symbol.charCodeAt(0))));
  const before: ToolMessage[] = [{ role: "user", content: question }];
  const call = (text: string) => before.push({ role: "assistant", content: callOf(text) }, said(text));
  while (draw() / 2 ** 32 < slips) call(slip(expression, draw));
  const row = { prompt: [...before], completion: callOf(expression) };
  call(expression);
  return [row, { prompt: before, completion: answerOf(question) }];
}

/**
 * A pocket calculator's sums with the tool `calculator`: "7+5*3-6=" is done from left to right. The tool knows that products come first,
 * so it is asked for "((7+5)*3)-6"; brackets that don't match are an error, to which it says why, and the answer is what it says at
 * last: 30. 2000 problems of three to six operators; the completion is the answer.
 */
export const toolUse: GeneratedTask = {
  name: "tool-use",
  tokenizer: () => wordLevelTokenizer(tokens, pattern, template),
  examples: () => {
    const draw = generator(deriveSeed(11n));
    const all = new Set<string>();
    while (all.size < count) all.add(questionOf(problem(draw)));
    return Array.from(all, (prompt): Example => ({ prompt, completion: answerOf(prompt) }));
  },
  turns: ({ prompt }, slips, variant) => turnsOf(prompt, slips, variant),
  check: (prompt, completion) => (completion.trim() === answerOf(prompt) ? 1 : 0),
};
