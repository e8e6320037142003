import { RetortError } from "../../base/errors.js";

/** Column names of a dataset. */
export interface Columns {
  readonly prompt: string;
  readonly completion: string;
  readonly reference: string;
  readonly messages: string;
  readonly teacher: string;
}

/** One message of a conversation, with every key that its row has. */
export type Message = { readonly role: string } & Readonly<Record<string, unknown>>;

/** One row: a prompt as text or messages, and what else the dataset has. */
export interface Row {
  readonly prompt: string | readonly Message[];
  readonly completion: string | readonly Message[] | undefined;
  readonly reference: string | undefined;
  readonly teacher: string | undefined;
  readonly tools?: readonly unknown[];
  readonly documents?: readonly unknown[];
  readonly chatTemplateKwargs?: Readonly<Record<string, unknown>>;
  /** File and line, for errors. */
  readonly where: string;
  /** Position in the dataset, from 1. */
  readonly number: number;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads a row of a dataset by the names of its columns. Messages win over a prompt; where the assistant speaks last, that
 * is the completion unless there is a column for it. The completion stands in for a reference that is not there.
 *
 * @param where file and row, for errors
 * @throws InvalidArgument naming file, row and column
 */
export function toRow(object: Json, columns: Columns, where: string): Row {
  const text = (column: "prompt" | "completion" | "teacher" | "reference") => textOf(object, columns[column], column, where);
  const messages = object[columns.messages] ?? undefined;
  const { prompt, answer } = messages === undefined ? { prompt: text("prompt") } : conversationOf(messages, columns.messages, where);
  if (prompt === undefined) {
    const found = Object.keys(object).join(", ");
    throw new RetortError(
      "InvalidArgument",
      `${where} has no column "${columns.prompt}" (nor "${columns.messages}"); it has: ${found}. Name the column with data.promptField`,
      { fieldPath: "data.promptField" },
    );
  }
  const completion = text("completion") ?? answer;
  return { prompt, completion, reference: text("reference") ?? completion, teacher: text("teacher"), where, number: 0 };
}

/** A column's text. A number is as good as its digits: answers often are. */
function textOf(object: Json, name: string, column: keyof Columns, where: string): string | undefined {
  const value = object[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  throw new RetortError("InvalidArgument", `${where}: column "${name}" is ${kindOf(value)}; text is expected there`, {
    fieldPath: `data.${column}Field`,
  });
}

const kindOf = (value: unknown): string => (Array.isArray(value) ? "a list" : typeof value === "object" ? "an object" : typeof value);

function conversationOf(value: unknown, name: string, where: string): { prompt: readonly Message[]; answer?: string } {
  const refuse = (what: string) =>
    new RetortError("InvalidArgument", `${where}: column "${name}" ${what}; a list of {role, content} is expected there`, {
      fieldPath: "data.messagesField",
    });
  if (!Array.isArray(value) || value.length === 0) throw refuse(`is ${Array.isArray(value) ? "empty" : kindOf(value)}`);
  const messages = value.map((message: Partial<{ role: string; content: string }> | null, i) => {
    if (typeof message?.role !== "string" || typeof message.content !== "string")
      throw refuse(`has no role and content as text at message ${i + 1}`);
    return { role: message.role, content: message.content };
  });
  const last = messages.at(-1)!;
  if (last.role !== "assistant") return { prompt: messages };
  if (messages.length === 1) throw refuse("has nothing before the assistant's message");
  return { prompt: messages.slice(0, -1), answer: last.content };
}
