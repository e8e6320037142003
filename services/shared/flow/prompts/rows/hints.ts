import { RetortError } from "../../../base/errors.js";
import type { Columns } from "../row.js";
import { shareGpt, startsWithKey } from "./messages.js";

type Json = Readonly<Record<string, unknown>>;

/** What columns of prompts are usually called, if not `prompt`. */
export const usualPrompts: readonly string[] = ["question", "query", "instruction", "problem", "input", "prompts", "user", "text"];
/** What columns of completions are usually called, if not `completion`. */
export const usualCompletions: readonly string[] = ["answer", "response", "output", "completions", "solution", "assistant", "chosen"];

/** The error for a row that has no prompt, with what the columns that it has suggest. */
export function missingPrompt(object: Json, columns: Columns, where: string): RetortError {
  const names = Object.keys(object);
  const found = `${where} has no column "${columns.prompt}" (nor "${columns.messages}"); it has: ${names.join(", ") || "none"}`;
  return new RetortError("InvalidArgument", `${found}. ${hintOf(object, names, columns)}`, { fieldPath: "data.promptField" });
}

function hintOf(object: Json, names: readonly string[], { messages }: Columns): string {
  const quoted = (name: string) => JSON.stringify(name);
  const withFrom = names.find((name) => startsWithKey(object[name], "from"));
  if (withFrom) return `Column ${quoted(withFrom)} ${shareGpt}; then set data.messagesField: ${withFrom}`;
  const withRole = names.find((name) => startsWithKey(object[name], "role"));
  if (withRole) return `Column ${quoted(withRole)} is a list of messages: set data.messagesField: ${withRole}`;
  if (names.includes("instruction") && names.includes("output"))
    return "Name the columns with data.promptField: instruction and data.completionField: output; where a row has an input too, write both into one column first";
  const rows = names.find((name) => Array.isArray(object[name]) && startsWithObject(object[name]));
  if (rows) return `Column ${quoted(rows)} is a list of objects: if those are the rows, write that list alone into the file`;
  const given = ["prompt", "messages"].filter((name) => name !== messages && names.includes(name) && object[name] !== null);
  const prompt = given[0] ?? usualPrompts.find((name) => names.includes(name));
  const completion = usualCompletions.find((name) => names.includes(name));
  if (prompt === "text" && !completion)
    return "Name the column with data.promptField; for data.promptField: text, each text is a prompt to be continued: to learn the texts themselves, give them the columns prompt and completion";
  if (!prompt) return "Name the column with data.promptField";
  const also = completion ? ` and data.completionField: ${completion}` : "";
  return `Name the column with data.${prompt === "messages" ? "messages" : "prompt"}Field: ${prompt}${also}`;
}

const startsWithObject = (list: unknown): boolean => {
  const first: unknown = (list as readonly unknown[])[0];
  return typeof first === "object" && first !== null && !Array.isArray(first);
};
