// How a teacher with a tokenizer of its own reads a run's rows.
import { counted } from "../base/counted.js";
import { RetortError } from "../base/errors.js";
import type { TeacherPromptSettings } from "../flow/runs/teacher-prompts.js";
import { readDonor } from "../ml/models/files/donor.js";
import { unreadTokens } from "../ml/text/completion-tokens.js";
import type { Conversation } from "../ml/text/conversation.js";
import { type ChatSettings, Encoder } from "../ml/text/encoder.js";
import { turnEnd } from "../ml/text/ends.js";
import type { Tokenizer } from "../ml/text/tokenizer.js";
import { type TeacherPrompts, teacherPrompts } from "./teacher-prompts.js";

/** What teachers read. */
export interface TeacherReading {
  /** Their prompts; by default the students'. */
  readonly prompts?: TeacherPrompts;
  /** The run's teachers, in their order: the first one reads rows that name none. */
  readonly names?: readonly string[];
  /** Those that have their own tokenizers. */
  readonly words?: OwnWords;
}

/**
 * What a run's teachers read of its rows.
 *
 * @throws as {@link readOwnWords}, and InvalidArgument if a template is no Jinja
 */
export const readingOf = async (teachers: readonly TeacherPromptSettings[], chat: ChatSettings): Promise<TeacherReading> => ({
  prompts: teacherPrompts(teachers, chat.chat),
  names: teachers.map(({ name }) => name),
  words: await readOwnWords(teachers, chat),
});

/** The words of a teacher whose tokenizer is its own. */
export interface TeacherWords {
  readonly tokenizer: Tokenizer;
  readonly encoder: Encoder;
  /** What ends a completion behind a prompt, in the teacher's tokens; undefined where nothing does. */
  endOf(prompt: string | Conversation): number | undefined;
}

/** Those of a run's teachers that have their own tokenizer, by name. */
export type OwnWords = ReadonlyMap<string, TeacherWords>;

/**
 * Reads the tokenizers of the teachers that have their own.
 *
 * @param chat the run's settings, of which a teacher's template gets the names that it reads, and no name of a template
 * @throws NotFound or InvalidArgument naming the teacher's field, and the way out
 */
export async function readOwnWords(teachers: readonly TeacherPromptSettings[], chat: ChatSettings): Promise<OwnWords> {
  const own = teachers.filter(({ tokenizer }) => tokenizer === "own");
  return new Map(await Promise.all(own.map(async (teacher) => [teacher.name, await wordsOf(teacher, chat)] as const)));
}

async function wordsOf({ model, field }: TeacherPromptSettings, chat: ChatSettings): Promise<TeacherWords> {
  const { tokenizer, ends } = await readDonor(model);
  checkSpelling(tokenizer, `${field}.tokenizer`, model);
  const { specials } = tokenizer;
  const plainEnd = specials.eosId ?? ends.ids[0];
  const spokenEnd = turnEnd(tokenizer) ?? plainEnd;
  return {
    tokenizer,
    encoder: new Encoder(tokenizer, ends.ids, { ...chat, chatTemplate: "", chatTemplateKwargs: readBy(tokenizer, chat) }),
    endOf: (prompt) => (typeof prompt === "string" && !chat.chat ? plainEnd : spokenEnd),
  };
}

/** Refuses a tokenizer whose tokens' bytes are not known. @throws InvalidArgument naming the field of the spec, and the directory */
export function checkSpelling(tokenizer: Tokenizer, field: string, directory: string): void {
  try {
    tokenizer.bytesOf(0);
  } catch (error) {
    const { code, message } = RetortError.from(error);
    throw new RetortError(code, `${directory}: texts can't be compared across tokenizers here, since ${message}`, {
      fieldPath: field,
      cause: error,
    });
  }
}

/** Share of the student's tokens above which a teacher that has no tokens for their texts is no teacher for it. */
const mostUnread = 0.01;

/** How many tokens a message names. */
const namedTokens = 6;

/** What a teacher's tokenizer can't read of what the student writes, in words; undefined if it reads every token. */
export function unreadBy(
  { tokenizer }: TeacherWords,
  student: Tokenizer,
): { readonly refused: boolean; readonly message: string } | undefined {
  const unread = unreadTokens(student, tokenizer);
  if (unread.length === 0) return undefined;
  const named = unread.slice(0, namedTokens).map((text) => JSON.stringify(text));
  const more = unread.length > namedTokens ? ` and ${unread.length - namedTokens} more` : "";
  const what = `the teacher's tokenizer has no tokens that say ${named.join(", ")}${more}, which the student writes (${unread.length} of ${counted(student.size, "token")})`;
  return unread.length > mostUnread * student.size
    ? {
        refused: true,
        message: `is own, and ${what}: the student would learn to write what the teacher can't read; take a teacher that reads every text (bytes, or byte fallback)`,
      }
    : { refused: false, message: `${what}: completions are compared up to there` };
}

/** The names for chat templates that a tokenizer's own reads: the run's are meant for the student's. */
function readBy(tokenizer: Tokenizer, { chatTemplateKwargs }: ChatSettings): Readonly<Record<string, unknown>> {
  if (tokenizer.templates.size === 0) return {};
  const names = tokenizer.templateNames();
  return Object.fromEntries(Object.entries(chatTemplateKwargs).filter(([name]) => names.includes(name)));
}
