import { RetortError } from "../../../../base/errors.js";
import { strftime } from "../../../../base/jinja/strftime.js";
import type { Template } from "../../../../base/jinja/template.js";
import { isRecord } from "../parse.js";

/** One message of a conversation: who says it, what, and every further key that its template may read. */
export type ChatMessage = { readonly role: string } & Readonly<Record<string, unknown>>;

/** What a chat template is given beside the messages. */
export interface ChatOptions {
  /** Ends with what opens the assistant's next turn; true unless the last message is continued. */
  readonly addGenerationPrompt?: boolean;
  /** Leaves the last message open to be continued: its content, or the named key. */
  readonly continueFinalMessage?: boolean | string;
  /** Tools as JSON schemas; absent is None. */
  readonly tools?: readonly unknown[] | null;
  /** Documents as objects; absent is None. */
  readonly documents?: readonly unknown[] | null;
  /** Further values by name, before special tokens' names. */
  readonly kwargs?: Readonly<Record<string, unknown>>;
  /** Name of the template, where there are several. */
  readonly template?: string;
  /** What strftime_now reads; the clock by default. */
  readonly now?: Date;
}

/** Parameters of transformers' apply_chat_template, which never reach a template from its keyword arguments. */
const reserved = new Set(
  `messages conversation conversations tools documents chat_template add_generation_prompt continue_final_message tokenize
  sanitize_control_tokens padding truncation max_length return_tensors return_dict return_assistant_tokens_mask tokenizer_kwargs`.split(
    /\s+/,
  ),
);

const continueTag = "CONTINUE_FINAL_MESSAGE_TAG ";

/** Names of a message's reasoning; the first is the one that templates read. */
const reasoningNames = ["reasoning_content", "thinking", "reasoning"];

/**
 * Renders a conversation as transformers 5.24 does (render_jinja_template): keys that are null are left out of messages,
 * reasoning is known under its older names too.
 *
 * @param specialTokens texts of the special tokens by name (`bos_token`, …)
 * @throws InvalidArgument that says why the template or the conversation failed
 */
export function renderChat(
  source: string,
  compile: (source: string) => Template,
  messages: readonly ChatMessage[],
  specialTokens: Readonly<Record<string, string>>,
  options: ChatOptions,
): string {
  const { tools, documents, kwargs = {}, continueFinalMessage = false, now } = options;
  const addGenerationPrompt = options.addGenerationPrompt ?? !continueFinalMessage;
  if (messages.length === 0) throw invalid("a conversation needs at least one message", "messages");
  if (continueFinalMessage && addGenerationPrompt)
    throw invalid("a conversation whose last message is continued has no generation prompt", "continueFinalMessage");
  const taken = Object.keys(kwargs).find((name) => reserved.has(name));
  if (taken !== undefined) throw invalid(`chat_template_kwargs may not set ${taken}; it has a field of its own`, taken);
  requireObjects(tools, "tools");
  requireObjects(documents, "documents");
  const plain = messages.map(plainMessage);
  const open = continueFinalMessage ? openLast(plain, continueFinalMessage === true ? "content" : continueFinalMessage, source) : undefined;
  const text = run(source, compile, {
    raise_exception: (message: unknown) => {
      throw new RetortError("InvalidArgument", String(message));
    },
    strftime_now: (format: unknown) => strftime(now ?? new Date(), String(format)),
    ...specialTokens,
    ...kwargs,
    messages: open?.messages ?? plain,
    tools: tools ?? null,
    documents: documents ?? null,
    add_generation_prompt: addGenerationPrompt,
  });
  return open ? cutAtTag(text, open.text) : text;
}

function run(source: string, compile: (source: string) => Template, values: Readonly<Record<string, unknown>>): string {
  try {
    return compile(source).render(values);
  } catch (error) {
    throw new RetortError("InvalidArgument", `the chat template failed: ${(error as Error).message}`, {
      fieldPath: "chat_template",
      cause: error,
    });
  }
}

function plainMessage(message: ChatMessage, i: number): Record<string, unknown> {
  if (!isRecord(message)) throw invalid(`message ${i + 1} must be an object with role and content`, `messages[${i}]`);
  const kept = Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null && value !== undefined));
  const reasoning = reasoningNames.map((name) => kept[name]).find((value) => value !== undefined);
  return reasoning === undefined ? kept : { thinking: reasoning, ...kept, reasoning_content: reasoning };
}

/** The messages with a tag behind the field of the last one that is to be continued, and that field's text. */
function openLast(messages: readonly Record<string, unknown>[], field: string, source: string): { messages: unknown[]; text: string } {
  const last = messages.at(-1) ?? {};
  const value = last[field];
  if (value === undefined) throw invalid(`the last message has no ${field} to continue`, "continueFinalMessage");
  const fields = reasoningNames.includes(field) ? reasoningNames.filter((name) => last[name] === value) : [field];
  if (!fields.some((name) => source.includes(name)))
    throw invalid(`the chat template does not read ${field}, so that it cannot be continued`, "continueFinalMessage");
  if (!Array.isArray(value)) {
    const tagged = { ...last, ...Object.fromEntries(fields.map((name) => [name, `${String(value)}${continueTag}`])) };
    return { messages: [...messages.slice(0, -1), tagged], text: String(value) };
  }
  const at = value.findLastIndex((block) => isRecord(block) && "text" in block);
  if (at < 0) throw invalid(`the last message's ${field} has no text to continue`, "continueFinalMessage");
  const text = String((value[at] as Record<string, unknown>).text);
  const blocks = value.map((block, i) => (i === at ? { ...(block as object), text: `${text}${continueTag}` } : block));
  return { messages: [...messages.slice(0, -1), { ...last, [field]: blocks }], text };
}

/** The rendered text up to the tag; space before a tag whose own space the template stripped goes too. */
function cutAtTag(rendered: string, text: string): string {
  const at = rendered.lastIndexOf(continueTag.trim());
  if (at < 0 || !rendered.includes(text.trim()))
    throw invalid("the chat template leaves out a part of the last message, so that it cannot be continued", "continueFinalMessage");
  const before = rendered.slice(0, at);
  return rendered.startsWith(continueTag, at) ? before : before.replace(/\p{White_Space}+$/u, "");
}

function requireObjects(values: readonly unknown[] | null | undefined, name: string): void {
  if (values === null || values === undefined) return;
  if (!Array.isArray(values) || !values.every(isRecord)) throw invalid(`${name} must be a list of objects`, name);
}

const invalid = (message: string, fieldPath: string): RetortError => new RetortError("InvalidArgument", message, { fieldPath });
