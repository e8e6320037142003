import { RetortError } from "../../../base/errors.js";
import { SpelledNumber } from "../../../base/json.js";
import type { Message } from "../row.js";
import { Unreadable, unreadableIn } from "./unreadable.js";

/** Where a value of a row stands, for errors. */
export interface Place {
  /** File and line. */
  readonly where: string;
  /** The column's name in the dataset. */
  readonly name: string;
  /** The setting that names the column. */
  readonly fieldPath: string;
}

/** An error about a column of a row. @param part what of the column: "message 2 of " */
export const refusedColumn = ({ where, name, fieldPath }: Place, what: string, part = ""): RetortError =>
  new RetortError("InvalidArgument", `${where}: ${part}column "${name}" ${what}`, { fieldPath });

/** A value's kind in a sentence's words. */
export function kindOf(value: unknown): string {
  if (value instanceof Unreadable) return value.what;
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (value instanceof SpelledNumber || typeof value === "bigint") return "a number";
  return typeof value === "object" ? "an object" : typeof value === "string" ? "text" : `a ${typeof value}`;
}

/** True of text that is a list of messages in JSON, or as Python prints it, which no model should read as a prompt. */
export const isMessagesAsText = (text: string): boolean => /^\s*\[\s*\{\s*["'](?:role|content|from|value)["']\s*:/.test(text);

/** What to do about messages that stand in a text. */
export const unpackText = "holds its messages as one text; write the list itself, as messages of {role, content}";

/** What to do about ShareGPT's form of messages. */
export const shareGpt =
  "has ShareGPT's {from, value}; write {role, content} instead: from human is role user, gpt is assistant, system is system, value is content";

/** True of an object with keys; false of a list, of null, and of a number that is kept as it is spelt. */
export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof SpelledNumber);

/** True of a list whose first member has the key. */
export const startsWithKey = (value: unknown, key: string): value is readonly Readonly<Record<string, unknown>>[] =>
  Array.isArray(value) && isObject(value[0]) && key in value[0];

/**
 * A column's messages, every key as it is.
 *
 * @throws InvalidArgument naming file, line, column and message
 */
export function messagesOf(value: unknown, place: Place): readonly Message[] {
  const expected = "a list of {role, content} is expected there";
  if (typeof value === "string" && isMessagesAsText(value)) throw refusedColumn(place, unpackText);
  if (!Array.isArray(value)) throw refusedColumn(place, `is ${kindOf(value)}; ${expected}`);
  if (value.length === 0) throw refusedColumn(place, `is empty; ${expected}`);
  for (const [i, message] of value.entries()) {
    const problem = problemOf(message);
    if (problem) throw refusedColumn(place, problem, `message ${i + 1} of `);
  }
  const odd = unreadableIn(value);
  if (odd) throw refusedColumn(place, `has ${odd.what} in its messages, which has no exact text; write it as text`);
  return value as readonly Message[];
}

function problemOf(message: unknown): string | undefined {
  if (!isObject(message)) return `is ${kindOf(message)}; {role, content} is expected there`;
  if (!("role" in message) && "from" in message) return shareGpt;
  if (typeof message.role !== "string")
    return message.role === undefined
      ? "has no role; {role, content} is expected there"
      : `has ${kindOf(message.role)} as the role; text is expected there`;
  const { content } = message;
  if (Array.isArray(content)) {
    const part = content.find((one) => typeof one !== "string" && !isObject(one));
    return part === undefined
      ? undefined
      : `has ${kindOf(part)} among the parts of its content; parts are objects: {"type": "text", "text": "…"}`;
  }
  if (typeof content === "string") return undefined;
  if (content === undefined || content === null) {
    const says = Object.entries(message).some(([key, value]) => key !== "role" && value !== undefined && value !== null);
    return says ? undefined : "has nothing beside its role; its content is missing";
  }
  return `has ${kindOf(content)} as the content; text, a list of parts, or null is expected there`;
}

/** What a message says as text: its content, or the text parts of it one after the other; undefined if it says nothing. */
export function textIn({ content }: Message): string | undefined {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return undefined;
  const texts = content.map((part: unknown) => (isObject(part) ? part.text : part)).filter((part) => typeof part === "string");
  return texts.length ? texts.join("") : undefined;
}
