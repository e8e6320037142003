import { RetortError } from "../../base/errors.js";
import { completionTexts, type TextLayout } from "./completion-texts.js";
import { type Conversation, refuseLost } from "./conversation.js";
import type { ChatMessage, Tokenizer } from "./tokenizer.js";
import { behindEnd, textBehindTurn } from "./turns.js";

export type { TextLayout };

/** How prompts become the text that a model reads. */
export interface ChatSettings {
  /** Plain prompts become a user's message, plain completions the assistant's answer. */
  readonly chat: boolean;
  /** The system's message before every conversation that has none; empty for none. */
  readonly system: string;
  /** Names that the template reads; those of a conversation win over them. */
  readonly chatTemplateKwargs: Readonly<Record<string, unknown>>;
  /** Which of several templates; empty for the default. */
  readonly chatTemplate: string;
  /** What the template takes for now, in milliseconds since 1970. */
  readonly nowMs: number;
}

/** A prompt as a model continues it. */
export interface EncodedPrompt {
  readonly text: string;
  readonly ids: Int32Array;
}

/** A prompt and what is to be learnt behind it. */
export interface Example {
  readonly prompt: string | Conversation;
  readonly completion: string | readonly ChatMessage[] | undefined;
}

/** An example in tokens, or why it has none. */
export type EncodedExample =
  | { readonly prompt: EncodedPrompt; readonly completion: Int32Array | undefined; readonly refusal?: undefined }
  | { readonly refusal: string };

/** The prompt and the whole of an example as text; `answer` is what was written behind a plain prompt. */
interface Written {
  readonly prompt: string;
  readonly whole: string | undefined;
  readonly answer: string | undefined;
  readonly plain: boolean;
}

/** A text, and whether the tokenizer puts around it what it puts around every text. */
interface PlainText {
  readonly text: string;
  readonly plain: boolean;
}

const nothing: Written = { prompt: "", whole: undefined, answer: undefined, plain: true };

/**
 * Turns prompts and completions into token ids: the one place where text that is learnt, sampled from, scored or measured
 * becomes ids.
 *
 * A plain prompt gets what the tokenizer puts before every text, and where it is a text of its own also what it puts behind
 * it. What a chat template wrote gets nothing more: it has its start token already.
 */
export class Encoder {
  readonly #tokenizer: Tokenizer;
  readonly #ends: ReadonlySet<number>;
  readonly #settings: ChatSettings;
  readonly #layout: TextLayout;
  /** How many end tokens the tokenizer puts behind every text. */
  readonly #suffix: number;

  /** @param endIds the tokens that end a sequence of the model; see `endsOf` */
  constructor(tokenizer: Tokenizer, endIds: readonly number[], settings: ChatSettings, layout: TextLayout = "one") {
    this.#tokenizer = tokenizer;
    this.#ends = new Set(endIds);
    this.#settings = settings;
    this.#layout = layout;
    this.#suffix = suffixLength(tokenizer, this.#ends);
  }

  /**
   * Prompts to be continued.
   *
   * @param where names the i-th prompt in errors
   * @throws InvalidArgument naming the prompt, with the template's reason
   */
  prompts(inputs: readonly (string | Conversation)[], where: (i: number) => string): EncodedPrompt[] {
    const written = inputs.map((input, i) => located(where(i), () => this.#write({ prompt: input, completion: undefined })));
    const ids = this.#encodeAll(written.map(({ prompt, plain }) => ({ text: prompt, plain })));
    return written.map(({ prompt }, i) => ({ text: prompt, ids: ids[i]! }));
  }

  /**
   * Prompts with what is to be learnt behind them. The ids of a conversation's answer are those of what the template writes
   * behind the prompt, up to the last end token; a plain completion gets the tokenizer's end token.
   */
  examples(inputs: readonly Example[]): EncodedExample[] {
    const written = inputs.map((input) => attempt(() => this.#write(input)));
    const texts = written.flatMap((one) => {
      const { prompt, whole = "", answer = "", plain } = one instanceof RetortError ? nothing : one;
      return [{ text: prompt, plain }, this.#layout === "two" ? { text: answer, plain: false } : { text: whole, plain }];
    });
    const ids = this.#encodeEach(texts);
    return written.map((one, i): EncodedExample => {
      if (one instanceof RetortError) return { refusal: one.message };
      const [promptIds, whole] = [ids[2 * i]!, ids[2 * i + 1]!];
      if (promptIds instanceof RetortError) return { refusal: promptIds.message };
      if (whole instanceof RetortError) return { refusal: whole.message };
      const prompt = { text: one.prompt, ids: promptIds };
      if (one.whole === undefined) return { prompt, completion: undefined };
      const found = attempt(() =>
        one.answer === undefined ? this.#answerIds(promptIds, whole) : this.#withEnd(this.#learntIds(promptIds, whole, one.answer)),
      );
      return found instanceof RetortError ? { refusal: found.message } : { prompt, completion: found };
    });
  }

  /** The ids of texts that are written behind plain prompts, without an end token. @throws InvalidArgument */
  continuations(prompts: readonly EncodedPrompt[], texts: readonly string[]): Int32Array[] {
    if (this.#layout === "two") return this.#encodeAll(texts.map((text) => ({ text, plain: false })));
    const wholes = this.#encodeAll(texts.map((text, i) => ({ text: prompts[i]!.text + text, plain: true })));
    return texts.map((text, i) => this.#plainIds(prompts[i]!.ids, wholes[i]!, text));
  }

  /** A prompt as the conversation that the template is given; undefined where it is plain text. */
  conversationOf(prompt: string | Conversation): Conversation | undefined {
    if (typeof prompt !== "string") return prompt;
    return this.#settings.chat ? asUser(prompt) : undefined;
  }

  /** Why the template can't write answers of a role behind an assistant's turn; undefined if it can. */
  replyRefusal(conversation: Conversation, role: string): string | undefined {
    const tried = attempt(() => this.reply(conversation, [[{ role, content: "42" }]]));
    return tried instanceof RetortError ? tried.message : undefined;
  }

  /**
   * What stands between a turn of the assistant, its end included, and its next one. The assistant's own tokens are not asked for.
   *
   * @param answers the messages behind each of its turns so far
   * @throws InvalidArgument as {@link textBehindTurn} and {@link behindEnd}, or with the template's reason
   */
  reply(conversation: Conversation, answers: readonly (readonly ChatMessage[])[]): EncodedPrompt {
    const messages = this.#withSystem(conversation.messages);
    const text = textBehindTurn((all) => this.#render(conversation, all, "answer"), messages, answers);
    const ids = behindEnd(this.#tokenizer.encode(text), this.#ends);
    return { ids, text: this.#tokenizer.decode(ids, { skipSpecial: false }) };
  }

  /** The text of sampled completions: what prompt and completion say together, less what the prompt says alone. */
  completionTexts(sequences: readonly { readonly promptIds: Int32Array; readonly ids: Int32Array }[]): string[] {
    return completionTexts(this.#tokenizer, sequences, this.#layout);
  }

  #write({ prompt, completion }: Example): Written {
    const { chat } = this.#settings;
    if (this.#layout === "two" && (chat || typeof prompt !== "string" || (completion !== undefined && typeof completion !== "string")))
      throw new RetortError(
        "InvalidArgument",
        "the model is an encoder-decoder, which reads a prompt and its completion apart, and a chat template writes them as one text; give both as plain text, with chat: false",
      );
    if (typeof prompt === "string" && !chat) {
      if (completion !== undefined && typeof completion !== "string") throw mixed("text", "a list of messages");
      this.#refuseUnread();
      return { prompt, whole: completion === undefined ? undefined : prompt + completion, answer: completion, plain: true };
    }
    const conversation: Conversation = typeof prompt === "string" ? asUser(prompt) : prompt;
    if (conversation.fromText && !chat)
      throw new RetortError(
        "InvalidArgument",
        "the row has tools, documents or chat_template_kwargs, which only a chat template reads, and its prompt is plain text; set chat: true, or leave the column out",
      );
    const messages = this.#withSystem(conversation.messages);
    const answer = typeof completion === "string" ? [{ role: "assistant", content: completion }] : completion;
    const stranger = answer?.find(({ role }) => role !== "assistant");
    if (stranger)
      throw new RetortError(
        "InvalidArgument",
        `the completion has a message of the role "${stranger.role}"; only what the assistant writes is learnt: put the turns before it into the prompt`,
      );
    // A prompt that ends with the assistant's words is one to be continued, as in transformers.
    const begun = messages.at(-1)?.role === "assistant";
    if (begun && answer)
      throw new RetortError(
        "InvalidArgument",
        "the prompt ends with an assistant's message and the completion is one more; put both into one message",
      );
    const text = this.#render(conversation, messages, begun ? "continue" : "answer");
    if (!answer) {
      refuseLost(messages, this.#template(conversation), text);
      return { prompt: text, whole: undefined, answer: undefined, plain: false };
    }
    const whole = this.#render(conversation, [...messages, ...answer], "end");
    refuseLost([...messages, ...answer], this.#template(conversation), whole, messages.length);
    return { prompt: text, whole, answer: undefined, plain: false };
  }

  #withSystem(messages: readonly ChatMessage[]): readonly ChatMessage[] {
    const { system } = this.#settings;
    if (!system || messages[0]?.role === "system" || messages[0]?.role === "developer") return messages;
    return [{ role: "system", content: system }, ...messages];
  }

  #render(conversation: Conversation, messages: readonly ChatMessage[], until: "answer" | "continue" | "end"): string {
    const { chatTemplate, chatTemplateKwargs, nowMs } = this.#settings;
    const { tools, documents } = conversation;
    const kwargs = { ...chatTemplateKwargs, ...conversation.chatTemplateKwargs };
    this.#refuseUnknown(conversation, kwargs);
    return this.#tokenizer.applyChatTemplate(messages, {
      addGenerationPrompt: until === "answer",
      continueFinalMessage: until === "continue",
      tools,
      documents,
      kwargs,
      template: chatTemplate || undefined,
      now: new Date(nowMs),
    });
  }

  #template({ tools }: Conversation): string {
    return this.#tokenizer.templateOf(this.#settings.chatTemplate || undefined, tools !== undefined);
  }

  /** What is given to a template that does not read it would be lost without a word. */
  #refuseUnknown({ tools, documents }: Conversation, kwargs: Readonly<Record<string, unknown>>): void {
    const given = [
      ...(tools ? ["tools"] : []),
      ...(documents ? ["documents"] : []),
      ...Object.keys(kwargs).filter((name) => kwargs[name] !== null),
    ];
    if (given.length === 0) return;
    const names = this.#tokenizer.templateNames(this.#settings.chatTemplate || undefined, tools !== undefined);
    const unread = given.filter((name) => !names.includes(name));
    if (unread.length === 0) return;
    throw new RetortError(
      "InvalidArgument",
      `the chat template does not read ${unread.join(", ")}; it reads ${names.filter((name) => !always.has(name)).join(", ") || "messages alone"}: leave it out, or give the tokenizer a template that does`,
    );
  }

  /** Settings that only a template reads are errors where there is nothing for it to write. */
  #refuseUnread(): void {
    const { system, chatTemplate, chatTemplateKwargs } = this.#settings;
    const unread = [
      ...(system ? ["system"] : []),
      ...(chatTemplate ? ["chatTemplate"] : []),
      ...(Object.keys(chatTemplateKwargs).length ? ["chatTemplateKwargs"] : []),
    ];
    if (unread.length)
      throw new RetortError(
        "InvalidArgument",
        `${unread.join(" and ")} would not be read: the prompt is plain text; set chat: true, or leave it out`,
      );
  }

  /** As {@link Encoder.#encodeAll}; a text that has no ids is an error of its own. */
  #encodeEach(texts: readonly PlainText[]): (Int32Array | RetortError)[] {
    const all = attempt(() => this.#encodeAll(texts));
    return all instanceof RetortError ? texts.map((text) => attempt(() => this.#encodeAll([text])[0]!)) : all;
  }

  #encodeAll(texts: readonly PlainText[]): Int32Array[] {
    const encoded = new Array<Int32Array>(texts.length);
    for (const plain of [true, false]) {
      const members = [...texts.keys()].filter((i) => texts[i]!.plain === plain);
      const ids = this.#tokenizer.encodeAll(
        members.map((i) => texts[i]!.text),
        { addSpecial: plain },
      );
      members.forEach((i, n) => {
        encoded[i] = plain && this.#layout === "one" ? ids[n]!.subarray(0, ids[n]!.length - this.#suffix) : ids[n]!;
      });
    }
    return encoded;
  }

  /** What a template wrote behind the prompt, up to the last end token. */
  #answerIds(prompt: Int32Array, whole: Int32Array): Int32Array {
    const at = firstDifference(prompt, whole);
    if (at < prompt.length) {
      const [own, other] = [prompt[at]!, whole[at]].map((id) => (id === undefined ? "nothing" : this.#named(id)));
      throw new RetortError(
        "InvalidArgument",
        `the chat template writes the prompt otherwise when the answer follows: token ${at} is ${own} in the prompt and ${other} in the whole conversation, so that the answer would be learnt behind another prompt than it is sampled from`,
      );
    }
    const rest = whole.slice(prompt.length);
    const end = rest.findLastIndex((id) => this.#ends.has(id));
    return end < 0 ? rest : rest.slice(0, end + 1);
  }

  #learntIds(prompt: Int32Array, whole: Int32Array, answer: string): Int32Array {
    return this.#layout === "two" ? whole : this.#plainIds(prompt, whole, answer);
  }

  /**
   * The ids behind a plain prompt that say the completion: those of the whole text where the prompt's ids begin it, else
   * those of the completion by itself, as far as both together say what was written.
   */
  #plainIds(prompt: Int32Array, whole: Int32Array, completion: string): Int32Array {
    if (firstDifference(prompt, whole) === prompt.length) return whole.slice(prompt.length);
    const before = this.#tokenizer.decode(prompt);
    const wanted = [before + completion, this.#tokenizer.decode(whole)];
    for (const lead of leads) {
      const ids = this.#behind(lead, completion);
      if (ids && wanted.includes(this.#tokenizer.decode([...prompt, ...ids]))) return ids;
    }
    throw new RetortError(
      "InvalidArgument",
      `the tokenizer has no ids for the completion ${quoted(completion)} that say just this behind the prompt (it merges the two, or puts a space between); move the border between prompt and completion`,
    );
  }

  /** The ids of a text behind a lead that does not merge with it; undefined if it does. */
  #behind(lead: string, text: string): Int32Array | undefined {
    const [alone, both] = this.#tokenizer.encodeAll([lead, lead + text], { addSpecial: false }) as [Int32Array, Int32Array];
    return firstDifference(alone, both) === alone.length ? both.slice(alone.length) : undefined;
  }

  #withEnd(ids: Int32Array): Int32Array {
    const end = this.#tokenizer.specials.eosId ?? [...this.#ends][0];
    const last = ids.at(-1);
    if (end === undefined || (last !== undefined && (last === end || this.#ends.has(last)))) return ids;
    const longer = new Int32Array(ids.length + 1);
    longer.set(ids);
    longer[ids.length] = end;
    return longer;
  }

  #named(id: number): string {
    return `${JSON.stringify(this.#tokenizer.idToToken(id) ?? "?")} (${id})`;
  }
}

const asUser = (content: string): Conversation => ({ messages: [{ role: "user", content }] });

/** Names that every template is given; the others are worth naming in an error. */
const always = new Set([
  "add_generation_prompt",
  "bos_token",
  "eos_token",
  "messages",
  "pad_token",
  "raise_exception",
  "strftime_now",
  "unk_token",
]);

/** What to put before a text that is tokenised apart: nothing, or characters that tokenizers keep to themselves. */
const leads = ["", "\n", "=", "a"];

function suffixLength(tokenizer: Tokenizer, ends: ReadonlySet<number>): number {
  const [plain, framed] = [false, true].map((addSpecial) => tokenizer.encode("a", { addSpecial })) as [Int32Array, Int32Array];
  const at = framed.findIndex((_, i) => plain.every((id, n) => framed[i + n] === id));
  if (at < 0) return 0;
  const suffix = framed.subarray(at + plain.length);
  return suffix.every((id) => ends.has(id)) ? suffix.length : 0;
}

/** First position at which a list differs from the beginning of another; its length if it does not. */
function firstDifference(list: Int32Array, other: Int32Array): number {
  const at = list.findIndex((id, i) => id !== other[i]);
  return at < 0 ? list.length : at;
}

const quoted = (text: string): string => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);

const mixed = (prompt: string, completion: string): RetortError =>
  new RetortError("InvalidArgument", `the prompt is ${prompt} and the completion ${completion}; give both as text or both as messages`);

function attempt<T>(work: () => T): T | RetortError {
  try {
    return work();
  } catch (error) {
    const known = RetortError.from(error);
    if (known.code !== "InvalidArgument" && known.code !== "FailedPrecondition") throw error;
    return known;
  }
}

function located<T>(where: string, work: () => T): T {
  const found = attempt(work);
  if (found instanceof RetortError) throw new RetortError(found.code, `${where}: ${found.message}`, { fieldPath: where, cause: found });
  return found;
}
