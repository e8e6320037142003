// Where rows become token ids: what a dataset says (flow) meets the encoder (ml).
import { defined } from "../base/defined.js";
import { RetortError } from "../base/errors.js";
import { found } from "../base/found.js";
import type { Row } from "../flow/prompts/row.js";
import { toWire, type WireConversation } from "../ml/text/conversation.js";
import type { EncodedExample, Encoder, Example } from "../ml/text/encoder.js";
import { promptOfRow } from "./prompt-of-row.js";
import type { TeacherReading, TeacherWords } from "./teacher-words.js";

/** A prompt in the student's tokens, with what the dataset says about it. */
export interface Item {
  readonly promptIds: Int32Array;
  readonly promptText: string;
  /** The end token included; absent where the dataset has no completion. */
  readonly completionIds: Int32Array | undefined;
  readonly reference: string;
  readonly teacher: string;
  /**
   * The prompt that the teacher reads instead, in the student's tokens, or in its own where its tokenizer is its own; absent where it
   * reads `promptIds`.
   */
  readonly teacherPromptIds?: Int32Array;
  /** Of a teacher with its own tokenizer: what ends a completion, in its tokens; absent where nothing does. */
  readonly teacherEndId?: number;
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
 * @param reading what teachers read; by default the students' prompts
 * @param answerRole the role in which an environment answers the student, where one does: items then have their conversations
 */
export function outcomesOf(rows: readonly Row[], encoder: Encoder, reading: TeacherReading = {}, answerRole?: string): Outcome[] {
  const outcomes: Outcome[] = [];
  for (let start = 0; start < rows.length; start += batchRows) {
    const batch = rows.slice(start, start + batchRows);
    const forTeachers = teacherPromptsOf(batch, encoder, reading);
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

/** What a row's teacher reads. */
interface TeacherPart {
  readonly teacherPromptIds?: Int32Array;
  readonly teacherEndId?: number;
}

function outcomeOf(row: Row, encoded: EncodedExample, forTeacher: TeacherPart | string | undefined): Outcome {
  if (encoded.refusal !== undefined) return { row, refusal: encoded.refusal };
  if (typeof forTeacher === "string") return { row, refusal: `the teacher's prompt: ${forTeacher}` };
  const { prompt, completion } = encoded;
  const { reference = "", teacher = "" } = row;
  return { row, item: { promptIds: prompt.ids, promptText: prompt.text, completionIds: completion, reference, teacher, ...forTeacher } };
}

/** A prompt that a teacher reads instead of the student's, and whose words it reads it with. */
interface OwnPrompt {
  readonly prompt: Example["prompt"];
  readonly words: TeacherWords | undefined;
}

/** The prompts that teachers read instead of the students', or why there is none. */
function teacherPromptsOf(rows: readonly Row[], encoder: Encoder, reading: TeacherReading): (TeacherPart | string | undefined)[] {
  const prompts = rows.map((row) => ownPrompt(row, reading));
  const written = prompts.flatMap((own) => (own === undefined || own instanceof RetortError ? [] : own));
  const encoded = new Map<OwnPrompt, EncodedExample>();
  for (const words of new Set(written.map((own) => own.words))) {
    const alike = written.filter((own) => own.words === words);
    const examples = (words?.encoder ?? encoder).examples(alike.map(({ prompt }) => ({ prompt, completion: undefined })));
    alike.forEach((own, i) => {
      encoded.set(own, examples[i]!);
    });
  }
  return prompts.map((own) => {
    if (own === undefined) return undefined;
    if (own instanceof RetortError) return own.message;
    const one = found(encoded.get(own), "an encoded prompt");
    if (one.refusal !== undefined) return one.refusal;
    const { ids } = one.prompt;
    if (ids.length === 0) return "it is empty";
    return defined({ teacherPromptIds: ids, teacherEndId: own.words?.endOf(own.prompt) });
  });
}

function ownPrompt(row: Row, { prompts, words, names = [] }: TeacherReading): OwnPrompt | RetortError | undefined {
  const own = words?.get(row.teacher || (names[0] ?? ""));
  try {
    const prompt = prompts?.(row) ?? (own && promptOfRow(row));
    return prompt === undefined ? undefined : { prompt, words: own };
  } catch (error) {
    const known = RetortError.from(error);
    if (known.code !== "InvalidArgument") throw error;
    return known;
  }
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
export function itemsOf(rows: readonly Row[], encoder: Encoder, reading?: TeacherReading, answerRole?: string): Item[] {
  const outcomes = outcomesOf(rows, encoder, reading, answerRole);
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
