import type { Row } from "../flow/prompts/row.js";
import type { Conversation } from "../ml/text/conversation.js";

/** What of a row is its prompt. */
export type PromptRow = Pick<Row, "prompt" | "tools" | "documents" | "chatTemplateKwargs">;

/** A row's prompt as the encoder takes it. */
export function promptOfRow({ prompt, tools, documents, chatTemplateKwargs }: PromptRow): string | Conversation {
  if (typeof prompt === "string" && !tools && !documents && !chatTemplateKwargs) return prompt;
  const fromText = typeof prompt === "string";
  const messages = fromText ? [{ role: "user", content: prompt }] : prompt;
  return { messages, tools, documents, chatTemplateKwargs, fromText };
}
