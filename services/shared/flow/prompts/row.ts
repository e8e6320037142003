/** Column names of a dataset. */
export interface Columns {
  readonly prompt: string;
  readonly completion: string;
  readonly reference: string;
  readonly messages: string;
  readonly teacher: string;
  readonly teacherPrompt: string;
  readonly teacherMessages: string;
  /** Which of prompt and messages counts in a row that has both; default: the one that is named otherwise than by default. */
  readonly named?: "prompt" | "messages" | undefined;
}

/** The columns of a dataset, unless they are named otherwise. */
export const defaultColumns = {
  prompt: "prompt",
  completion: "completion",
  reference: "reference",
  messages: "messages",
  teacher: "teacher",
  teacherPrompt: "teacherPrompt",
  teacherMessages: "teacherMessages",
} as const satisfies Columns;

/**
 * One message of a conversation with every key that the dataset gives it, for the chat template to read: content (text, a
 * list of parts, null, or absent), tool_calls, name, reasoning_content, tool_call_id and so on. Numbers that JavaScript would
 * spell otherwise are `SpelledNumber`s (shared/base/json.ts).
 */
export type Message = { readonly role: string } & Readonly<Record<string, unknown>>;

/** One row: a prompt as text or messages, and what else the dataset has. */
export interface Row {
  readonly prompt: string | readonly Message[];
  readonly completion: string | readonly Message[] | undefined;
  /** What an answer is compared with; the completion's text where the dataset says nothing else. */
  readonly reference: string | undefined;
  readonly teacher: string | undefined;
  /** What the teacher reads instead of the prompt; absent where the row has nothing for it alone. */
  readonly teacherPrompt?: string | readonly Message[];
  /** What the chat template reads beside the messages; absent where the row has none. */
  readonly tools?: readonly unknown[];
  readonly documents?: readonly unknown[];
  readonly chatTemplateKwargs?: Readonly<Record<string, unknown>>;
  /** Every column as it is, for templates. */
  readonly columns: Readonly<Record<string, unknown>>;
  /** File and line (of Parquet, row), for errors: "rows/x.jsonl line 3". */
  readonly where: string;
  /** Counts the rows of the dataset over all its files, from 1. */
  readonly number: number;
}
