// Where a row's prompt becomes the one that its teacher reads.
import { RetortError } from "../base/errors.js";
import { parseTemplate, type TextTemplate } from "../base/jinja/text-template.js";
import type { Message, Row } from "../flow/prompts/row.js";
import { textIn } from "../flow/prompts/rows/messages.js";
import type { TeacherPromptSettings } from "../flow/runs/teacher-prompts.js";
import type { Conversation } from "../ml/text/conversation.js";
import { promptOfRow } from "./prompt-of-row.js";

/** The prompt that a row's teacher reads; undefined where it reads the student's. @throws InvalidArgument if the row has not what it takes */
export type TeacherPrompts = (row: Row) => string | Conversation | undefined;

/** Teachers read what the student reads, but for the rows' own columns. */
const plain: Pick<TeacherPromptSettings, "promptTemplate" | "system"> = { promptTemplate: "", system: "" };

/**
 * The prompts that teachers read, row by row: the row's own for the teacher, or its teacher's template over the row, either
 * with the teacher's system message.
 *
 * @param teachers of the run, in their order
 * @param chat whether a plain prompt is a user's message
 * @throws InvalidArgument if a template is no Jinja
 */
export function teacherPrompts(teachers: readonly TeacherPromptSettings[], chat: boolean): TeacherPrompts {
  const templates = new Map(teachers.map(({ promptTemplate: source }) => [source, source ? parseTemplate(source) : undefined]));
  return (row) => {
    const teacher = row.teacher ? teachers.find(({ name }) => name === row.teacher) : teachers[0];
    const { promptTemplate, system } = teacher ?? plain;
    const field = teacher?.field ?? "";
    const template = templates.get(promptTemplate);
    if (template && row.teacherPrompt !== undefined)
      throw refused(
        `the row has a prompt for the teacher, and ${field}.promptTemplate would write another; leave one of them out (data.teacherPromptField and data.teacherMessagesField name the columns)`,
      );
    const prompt = row.teacherPrompt ?? (template && written(row, template, field));
    if (prompt === undefined && !system) return undefined;
    const own = promptOfRow({ ...row, prompt: prompt ?? row.prompt });
    return system ? withSystem(own, system, `${field}.system`, chat) : own;
  };
}

/** A row's prompt as a template writes it; of a conversation, with the text as its last user's message. */
function written(row: Row, template: TextTemplate, field: string): Row["prompt"] {
  const { prompt, completion, reference } = row;
  const at = typeof prompt === "string" ? -1 : prompt.findLastIndex(({ role }) => role === "user");
  const asked = typeof prompt === "string" ? prompt : at >= 0 ? textIn(prompt[at] as Message) : undefined;
  const answer = typeof completion === "object" ? completion.at(-1) : undefined;
  const values: Readonly<Record<string, unknown>> = {
    ...row.columns,
    prompt: asked,
    messages: typeof prompt === "string" ? [{ role: "user", content: prompt }] : prompt,
    reference,
    completion: answer ? textIn(answer) : completion,
  };
  const missing = template.names.filter((name) => values[name] === undefined || values[name] === null);
  if (missing.length)
    throw refused(
      `${field}.promptTemplate reads ${missing.join(", ")}, which the row does not have; it has ${Object.keys(row.columns).join(", ")}`,
    );
  const text = template.render(values);
  if (typeof prompt === "string") return text;
  if (at < 0)
    throw refused(`${field}.promptTemplate writes the last user's message, and the row has none; give the row data.teacherMessagesField`);
  return prompt.map((message, i) => (i === at ? { ...message, content: text } : message));
}

function withSystem(prompt: string | Conversation, system: string, field: string, chat: boolean): Conversation {
  if (typeof prompt === "string" && !chat)
    throw refused(`${field} would not be read: the prompt is plain text; set data.chat: true, or write it into promptTemplate`);
  const conversation: Conversation =
    typeof prompt === "string" ? { messages: [{ role: "user", content: prompt }], fromText: true } : prompt;
  const [first] = conversation.messages;
  if (first?.role === "system" || first?.role === "developer")
    throw refused(`${field} would not be read: the row's messages begin with one of the role ${first.role}; leave one of them out`);
  return { ...conversation, messages: [{ role: "system", content: system }, ...conversation.messages] };
}

const refused = (what: string): RetortError => new RetortError("InvalidArgument", what);
