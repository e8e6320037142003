import { RetortError } from "../../base/errors.js";
import { parseJson, writeJson } from "../../base/json.js";
import { jsonError } from "../../base/json-text.js";
import type { ChatMessage } from "./tokenizer.js";

/** What a chat template turns into text: messages, and what else it reads. */
export interface Conversation {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly unknown[];
  readonly documents?: readonly unknown[];
  /** Names that the template reads (enable_thinking, …) for this conversation. */
  readonly chatTemplateKwargs?: Readonly<Record<string, unknown>>;
  /** True for a plain prompt that was made a user's message: it is one only where the settings put plain text into the template. */
  readonly fromText?: boolean;
}

/**
 * A conversation on its way to another thread or program, as `retort.v1.Conversation` has it. What the template may spell
 * out (tool calls, say) is JSON text, so that numbers and the order of keys arrive as they were.
 */
export interface WireConversation {
  readonly messages: readonly { readonly role: string; readonly content?: string; readonly extra?: string }[];
  readonly tools?: string;
  readonly documents?: string;
  readonly chatTemplateKwargs?: Readonly<Record<string, unknown>>;
}

/** A conversation in its wire form: what {@link fromWire} makes is the same to every template. */
export function toWire({ messages, tools, documents, chatTemplateKwargs }: Conversation): WireConversation {
  return {
    messages: messages.map(({ role, content, ...more }) => {
      const extra = typeof content === "string" ? more : { ...(content === undefined ? {} : { content }), ...more };
      return {
        role,
        ...(typeof content === "string" ? { content } : {}),
        ...(Object.keys(extra).length > 0 ? { extra: writeJson(extra) } : {}),
      };
    }),
    ...(tools ? { tools: writeJson(tools) } : {}),
    ...(documents ? { documents: writeJson(documents) } : {}),
    ...(chatTemplateKwargs ? { chatTemplateKwargs: JSON.parse(writeJson(chatTemplateKwargs)) as Record<string, unknown> } : {}),
  };
}

/** Messages from their wire form. @param where names them in errors. @throws as {@link fromWire} */
export const messagesFromWire = (messages: WireConversation["messages"], where: string): ChatMessage[] =>
  messages.map(({ role, content, extra }, i) => ({
    role,
    ...(content === undefined ? {} : { content }),
    ...(extra ? objectIn(extra, `${where}[${i}].extra`, content !== undefined) : {}),
  }));

/**
 * A conversation from its wire form.
 *
 * @param where names the conversation in errors
 * @throws InvalidArgument naming the field that is not the JSON it should be
 */
export function fromWire({ messages, tools, documents, chatTemplateKwargs }: WireConversation, where: string): Conversation {
  return {
    messages: messagesFromWire(messages, `${where}.messages`),
    ...(tools ? { tools: listIn(tools, `${where}.tools`) } : {}),
    ...(documents ? { documents: listIn(documents, `${where}.documents`) } : {}),
    ...(chatTemplateKwargs ? { chatTemplateKwargs } : {}),
  };
}

function jsonIn(text: string, field: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw new RetortError("InvalidArgument", jsonError(error, field), { fieldPath: field });
  }
}

function listIn(text: string, field: string): readonly unknown[] {
  const value = jsonIn(text, field);
  if (Array.isArray(value)) return value;
  throw new RetortError("InvalidArgument", `${field} is no JSON list`, { fieldPath: field });
}

function objectIn(text: string, field: string, hasContent: boolean): Readonly<Record<string, unknown>> {
  const value = jsonIn(text, field);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new RetortError("InvalidArgument", `${field} is no JSON object`, { fieldPath: field });
  for (const key of ["role", ...(hasContent ? ["content"] : [])])
    if (key in value)
      throw new RetortError("InvalidArgument", `${field} has the key "${key}", which the message has too`, { fieldPath: field });
  return value as Readonly<Record<string, unknown>>;
}

/** Keys of a message that are learnt with it, and the names by which a template reads each. */
const learntKeys: Readonly<Record<string, readonly string[]>> = {
  reasoning_content: ["reasoning_content", "thinking", "reasoning"],
  tool_calls: ["tool_calls"],
};

/**
 * Refuses what a template leaves out of a message without a word: the parts of a content that is a list, calls of tools, and
 * the thoughts of an answer. (Thoughts of earlier turns it leaves out on purpose.)
 *
 * @param template its source
 * @param text what it wrote
 * @param answer position of the first message that is learnt
 * @throws InvalidArgument naming the message and what of it is lost
 */
export function refuseLost(messages: readonly ChatMessage[], template: string, text: string, answer = messages.length): void {
  const lost = (i: number, what: string, wayOut: string) =>
    new RetortError("InvalidArgument", `the chat template leaves out ${what} of message ${i + 1}: ${wayOut}`);
  for (const [i, message] of messages.entries()) {
    if (partsOf(message.content).some((part) => !text.includes(part.trim())))
      throw lost(i, "the content, which is a list of parts", "write it as text");
    for (const [key, names] of Object.entries(learntKeys)) {
      const value = message[key];
      const given = Array.isArray(value) ? value.length > 0 : Boolean(value);
      const counts = key === "tool_calls" || i >= answer;
      // A template that dumps whole messages reads every key.
      if (given && counts && !names.some((name) => template.includes(name)) && !template.includes("tojson"))
        throw lost(i, `the ${key}`, "take a template that writes it, or leave it out");
    }
  }
}

/** The texts of a content that is a list of parts. */
function partsOf(content: unknown): string[] {
  if (!Array.isArray(content)) return [];
  return content.flatMap((part: unknown) => {
    const text = typeof part === "object" && part !== null ? (part as { text?: unknown }).text : undefined;
    return typeof text === "string" ? [text] : [];
  });
}
