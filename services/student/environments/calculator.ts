import { parseJson } from "../../shared/base/json.js";
import { beginsCall } from "../../shared/ml/text/tool-calls.js";
import { compute, spelled } from "../../shared/tasks/arithmetic.js";
import type { Environment, Said, TurnAnswer } from "./environment.js";

/** The tool's name, and that of its argument. */
const [tool, argument] = ["calculator", "expression"];

/** Numbers as people write them in an answer: 1,234.5 too. */
const numbers = /-?\d[\d,]*(?:\.\d+)?/g;

/**
 * A calculator as a tool. Each call is answered by a message of the role `tool`: the result, or "error: " and why there is none; so
 * is a call that can't be read. A turn without a call is the student's answer: it ends the episode, and pays 1 if the last number in
 * it is the last one of the reference, else 0.
 */
export const calculator = (): Environment => ({
  begin: async ({ reference }) => ({
    answer: async ({ text, toolCalls }): Promise<TurnAnswer> => {
      if (toolCalls.length > 0) return { messages: toolCalls.map(resultOf), done: false, reward: 0 };
      if (beginsCall(text)) return { messages: [unread], done: false, reward: 0 };
      const wanted = lastNumber(reference);
      return { messages: [], done: true, reward: wanted !== undefined && lastNumber(text) === wanted ? 1 : 0 };
    },
    close: () => {},
  }),
  close: () => {},
});

const said = (content: string): Said => ({ role: "tool", content, extra: "" });
const unread = said("error: the call is no JSON object");

function resultOf({ name, arguments: given }: { readonly name: string; readonly arguments: string }): Said {
  if (name !== tool) return said(`error: there is no tool "${name}"; there is ${tool}`);
  const { [argument]: expression } = parseJson(given) as Readonly<Record<string, unknown>>;
  if (typeof expression !== "string") return said(`error: ${argument} is missing; give a text such as "12*(3+4)"`);
  const computed = compute(expression);
  return said("value" in computed ? spelled(computed.value) : `error: ${computed.problem}`);
}

function lastNumber(text: string): number | undefined {
  const last = text.match(numbers)?.at(-1);
  return last === undefined ? undefined : Number(last.replaceAll(",", ""));
}
