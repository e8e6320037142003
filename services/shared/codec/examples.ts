// Where rows become token ids: what a dataset says (flow) meets the encoder (ml).
import { RetortError } from "../base/errors.js";
import { found } from "../base/found.js";
import type { Row } from "../flow/prompts/row.js";
import { toWire, type WireConversation } from "../ml/text/conversation.js";
import type { EncodedExample, Encoder, Example } from "../ml/text/encoder.js";
import { promptOfRow } from "./prompt-of-row.js";
import type { TeacherPrompts } from "./teacher-prompts.js";

/** A prompt in the student's tokens, with what the dataset says about it. */
export interface Item {
  readonly promptIds: Int32Array;
  readonly promptText: string;
  /** The end token included; absent where the dataset has no completion. */
  readonly completionIds: Int32Array | undefined;
  readonly reference: string;
  readonly teacher: string;
  /** The prompt that the teacher reads instead, in the student's tokens; absent where it reads `promptIds`. */
  readonly teacherPromptIds?: Int32Array;
  /** What `promptIds` say, where an environment answers the student. */
  readonly conversation?: WireConversation;
}

/** A row in tokens, or why it has none. */
export type Outcome =
  | { readonly row: Row; readonly item: Item; readonly refusal?: undefined }
  | { readonly row: Row; readonly item?: undefined; readonly refusal: string };

/** Rows that are encoded together: enough for one round trip to the tokenizer to pay, few enough to be gone again soon. */
const batchRows = 2048;

/**
 * Every row in tokens, or why it has none; nothing is thrown for a row.
 *
 * @param own the prompts that teachers read; by default the students'
 * @param answerRole the role in which an environment answers the student, where one does: items then have their conversations
 */
export function outcomesOf(rows: readonly Row[], encoder: Encoder, own: TeacherPrompts = () => undefined, answerRole?: string): Outcome[] {
  const outcomes: Outcome[] = [];
  for (let start = 0; start < rows.length; start += batchRows) {
    const batch = rows.slice(start, start + batchRows);
    const forTeachers = teacherPromptsOf(batch, encoder, own);
    for (const [i, encoded] of encoder.examples(batch.map(exampleOf)).entries())
      outcomes.push(outcomeOf(batch[i]!, encoded, forTeachers[i]));
  }
  return answerRole === undefined ? outcomes : outcomes.map((outcome) => withConversation(outcome, encoder, answerRole));
}

/** An item with its conversation, or why no environment can answer it. */
function withConversation(outcome: Outcome, encoder: Encoder, answerRole: string): Outcome {
  const { row, item } = outcome;
  if (!item) return outcome;
  const conversation = encoder.conversationOf(promptOfRow(row));
  if (!conversation)
    return {
      row,
      refusal:
        "the prompt is plain text, and an environment answers in the chat template: set data.chat: true, or give messages (data.messagesField)",
    };
  const refusal = encoder.replyRefusal(conversation, answerRole);
  return refusal === undefined ? { row, item: { ...item, conversation: toWire(conversation) } } : { row, refusal };
}

function outcomeOf(row: Row, encoded: EncodedExample, forTeacher: Int32Array | string | undefined): Outcome {
  if (encoded.refusal !== undefined) return { row, refusal: encoded.refusal };
  if (typeof forTeacher === "string") return { row, refusal: `the teacher's prompt: ${forTeacher}` };
  const { prompt, completion } = encoded;
  const { reference = "", teacher = "" } = row;
  const item = { promptIds: prompt.ids, promptText: prompt.text, completionIds: completion, reference, teacher };
  return { row, item: forTeacher ? { ...item, teacherPromptIds: forTeacher } : item };
}

/** The prompts that teachers read instead of the students', or why there is none. */
function teacherPromptsOf(rows: readonly Row[], encoder: Encoder, own: TeacherPrompts): (Int32Array | string | undefined)[] {
  const prompts = rows.map((row): Example["prompt"] | RetortError | undefined => {
    try {
      return own(row);
    } catch (error) {
      const known = RetortError.from(error);
      if (known.code !== "InvalidArgument") throw error;
      return known;
    }
  });
  const written = prompts.flatMap((prompt) =>
    prompt === undefined || prompt instanceof RetortError ? [] : [{ prompt, completion: undefined }],
  );
  const encoded = encoder.examples(written).values();
  return prompts.map((prompt) => {
    if (prompt === undefined) return undefined;
    if (prompt instanceof RetortError) return prompt.message;
    const one = found(encoded.next().value, "an encoded prompt");
    return one.refusal !== undefined ? one.refusal : one.prompt.ids.length ? one.prompt.ids : "it is empty";
  });
}

/** How many of the refused rows an error names. */
const namedRows = 10;

/** What is wrong with rows that could not be encoded, in one sentence; undefined if all could. */
export function refusalOf(outcomes: readonly Outcome[]): string | undefined {
  const refused = outcomes.filter(({ refusal }) => refusal !== undefined);
  if (refused.length === 0) return undefined;
  const first = refused[0]!;
  const others = refused.slice(1, namedRows).map(({ row }) => row.where);
  const more = refused.length > namedRows ? ` and ${refused.length - namedRows} more` : "";
  const rest = others.length ? `; so are ${others.join(", ")}${more}` : "";
  return `${first.row.where} is refused: ${first.refusal}${rest}. Mend these rows or leave them out; retort data shows each as it is read`;
}

/** Every row in tokens. @throws InvalidArgument naming the rows that cannot be encoded, and why the first one cannot */
export function itemsOf(rows: readonly Row[], encoder: Encoder, own?: TeacherPrompts, answerRole?: string): Item[] {
  const outcomes = outcomesOf(rows, encoder, own, answerRole);
  const refusal = refusalOf(outcomes);
  if (refusal) throw new RetortError("InvalidArgument", refusal, { fieldPath: "data.path" });
  return outcomes.flatMap(({ item }) => item ?? []);
}

const exampleOf = (row: Row): Example => ({ prompt: promptOfRow(row), completion: row.completion });

/** What of a row fits a model. */
export interface Limits {
  /** Positions that the model has. */
  readonly maxPositions: number;
  /** Most tokens of a prompt. */
  readonly longestPrompt: number;
}

/** The limits of a dataset's rows. @param maxPromptTokens 0 for what the context leaves beside `maxNewTokens` */
export const limitsOf = (maxPromptTokens: number, maxPositions: number, maxNewTokens: number): Limits => ({
  maxPositions,
  longestPrompt: Math.min(maxPromptTokens || Number.POSITIVE_INFINITY, maxPositions - maxNewTokens),
});

/** Why an item does not fit the model's context; undefined if it does. */
export function misfit({ promptIds, completionIds }: Item, { longestPrompt, maxPositions }: Limits): string | undefined {
  if (promptIds.length === 0) return "empty prompt";
  if (promptIds.length > longestPrompt) return "prompt too long";
  if (completionIds && promptIds.length + completionIds.length > maxPositions) return "completion too long";
  return undefined;
}
