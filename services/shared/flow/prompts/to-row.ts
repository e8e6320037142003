import { isDeepStrictEqual } from "node:util";
import { SpelledNumber } from "../../base/json.js";
import { type Columns, defaultColumns, type Message, type Row } from "./row.js";
import { missingPrompt } from "./rows/hints.js";
import { isMessagesAsText, kindOf, messagesOf, type Place, refusedColumn, textIn, unpackText } from "./rows/messages.js";
import { templateColumns } from "./rows/template-columns.js";
import { Unreadable } from "./rows/unreadable.js";

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads a row of a dataset by the names of its columns. Where the assistant speaks last in `messages`, that message is the
 * completion. Of a prompt and messages in one row the one counts that the spec names; if it names neither, both must say the
 * same. A completion that the spec names by another word than the default counts before the messages' own.
 *
 * @param where file and line, for errors
 * @param number the row's position in the dataset, from 1
 * @throws InvalidArgument naming file, line and column
 */
export function toRow(object: Json, columns: Columns, where: string, number: number): Row {
  const place = (column: Name): Place => ({ where, name: columns[column], fieldPath: `data.${column}Field` });
  const text = (column: Name) => textOf(object[columns[column]], place(column));
  const { prompt, answer } = promptOf(object, columns, place, where);
  const completion = completionOf(object, columns, place("completion"), answer);
  return {
    prompt,
    completion,
    reference: text("reference") ?? (typeof completion === "object" ? lastText(completion) : completion),
    teacher: text("teacher"),
    ...teacherPromptOf(object, columns, place),
    ...templateColumns(object, where),
    columns: object,
    where,
    number,
  };
}

/** What the last of some messages says. */
const lastText = (messages: readonly Message[]): string | undefined => {
  const last = messages.at(-1);
  return last && textIn(last);
};

type Name = "prompt" | "completion" | "reference" | "messages" | "teacher" | "teacherPrompt" | "teacherMessages";
type PlaceOf = (column: Name) => Place;
type Turns = { readonly prompt: Row["prompt"]; readonly answer?: Message };

function promptOf(object: Json, columns: Columns, place: PlaceOf, where: string): Turns {
  const messages = object[columns.messages] ?? undefined;
  const prompt = object[columns.prompt] ?? undefined;
  if (messages === undefined) {
    if (prompt === undefined) throw missingPrompt(object, columns, where);
    return { prompt: turnsOf(prompt, place("prompt")) };
  }
  if (prompt === undefined || columns.prompt === columns.messages) return conversationOf(messages, place("messages"));
  const named = namedOf(columns);
  if (named === "prompt") return { prompt: turnsOf(prompt, place("prompt")) };
  const conversation = conversationOf(messages, place("messages"));
  if (named !== "messages" && !saysTheSame(prompt, conversation.prompt))
    throw refusedColumn(
      place("messages"),
      `and column "${columns.prompt}" are both there and say different things; name the one to read with data.messagesField or data.promptField`,
    );
  return conversation;
}

/** Which of prompt and messages a spec names. */
function namedOf({ prompt, messages, named }: Columns): "prompt" | "messages" | undefined {
  const [otherPrompt, otherMessages] = [prompt !== defaultColumns.prompt, messages !== defaultColumns.messages];
  return named ?? (otherPrompt === otherMessages ? undefined : otherPrompt ? "prompt" : "messages");
}

/** Whether a prompt is the messages, or what the user says in them. */
function saysTheSame(prompt: unknown, messages: Row["prompt"]): boolean {
  if (typeof prompt !== "string") return isDeepStrictEqual(prompt, messages);
  return (messages as readonly Message[]).some((message) => message.role === "user" && textIn(message) === prompt);
}

function conversationOf(value: unknown, place: Place): Turns {
  const messages = messagesOf(value, place);
  const last = messages.at(-1);
  if (last?.role !== "assistant") return { prompt: messages };
  if (messages.length === 1) throw refusedColumn(place, "has nothing before the assistant's message; begin with the user's");
  return { prompt: messages.slice(0, -1), answer: last };
}

/** A column's text or messages. */
function turnsOf(value: unknown, place: Place): string | readonly Message[] {
  if (Array.isArray(value)) return messagesOf(value, place);
  if (typeof value === "object" && value !== null && "role" in value)
    throw refusedColumn(place, "is one message; a list of messages is expected there");
  const text = textOf(value, place)!;
  if (isMessagesAsText(text)) throw refusedColumn(place, unpackText);
  return text;
}

function teacherPromptOf(object: Json, columns: Columns, place: PlaceOf): Pick<Row, "teacherPrompt"> {
  const prompt = object[columns.teacherPrompt] ?? undefined;
  const messages = object[columns.teacherMessages] ?? undefined;
  if (prompt !== undefined && messages !== undefined && columns.teacherPrompt !== columns.teacherMessages)
    throw refusedColumn(
      place("teacherPrompt"),
      `and column "${columns.teacherMessages}" are both there; the teacher reads one prompt: leave one of them out`,
    );
  if (messages !== undefined) return { teacherPrompt: messagesOf(messages, place("teacherMessages")) };
  return prompt === undefined ? {} : { teacherPrompt: turnsOf(prompt, place("teacherPrompt")) };
}

function completionOf(object: Json, { completion: name }: Columns, place: Place, answer: Message | undefined): Row["completion"] {
  const value = object[name] ?? undefined;
  if (value === undefined) return answer && [answer];
  const given = turnsOf(value, place);
  if (typeof given !== "string" && given[0]!.role !== "assistant")
    throw refusedColumn(place, `begins with a message of the role "${given[0]!.role}"; a completion begins with the assistant's`);
  if (!answer || name !== "completion") return given;
  const same = typeof given === "string" ? given === textIn(answer) : isDeepStrictEqual(given, [answer]);
  if (same) return [answer];
  throw refusedColumn(
    place,
    "says something else than the assistant at the end of the row's messages; leave one of them out, or name the one to read with data.completionField or data.promptField",
  );
}

/** A column's text. A number is as good as its digits: answers often are. */
function textOf(value: unknown, place: Place): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "bigint" || value instanceof SpelledNumber) return String(value);
  const way = typeof value === "boolean" || value instanceof Unreadable ? ": write it as text" : "";
  throw refusedColumn(place, `is ${kindOf(value)}; text is expected there${way}`);
}
