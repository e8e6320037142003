import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import { fromWire, messagesFromWire, type WireConversation } from "../text/conversation.js";
import { type ChatSettings, type EncodedPrompt, Encoder, type TextLayout } from "../text/encoder.js";
import type { Tokenizer } from "../text/tokenizer.js";

/** A prompt as text (special tokens in it are recognised), as token ids, or as a conversation for the chat template. */
export type PromptInput = string | Int32Array | WireConversation;

/** A prompt with its completion, as text or token ids. */
export interface PromptPair {
  readonly prompt: PromptInput;
  readonly completion: string | Int32Array;
}

/** What of a model reads and writes text; its weights have no part in it. */
export interface TextModel {
  readonly tokenizer: Tokenizer;
  /** The tokens that end its texts. */
  readonly eosIds: readonly number[];
  readonly layout: TextLayout;
}

/** A prompt and its completion in tokens. */
export interface EncodedPair {
  readonly promptIds: Int32Array;
  readonly completionIds: Int32Array;
}

/**
 * Prompts in tokens, with their texts.
 *
 * @param where names the i-th prompt in errors
 * @throws InvalidArgument naming the prompt
 */
export function encodePrompts(
  model: TextModel,
  prompts: readonly PromptInput[],
  chat: ChatSettings,
  where: (i: number) => string,
): EncodedPrompt[] {
  const texts = [...prompts.entries()].flatMap(([i, prompt]) =>
    prompt instanceof Int32Array ? [] : [{ i, prompt: promptIn(prompt, where(i)) }],
  );
  const encoded = encoderOf(model, chat).prompts(
    texts.map(({ prompt }) => prompt),
    (n) => where(texts[n]!.i),
  );
  const byIndex = new Map(texts.map(({ i }, n) => [i, encoded[n]!]));
  return prompts.map((prompt, i) => (prompt instanceof Int32Array ? { text: "", ids: prompt } : found(byIndex.get(i), `prompt ${i}`)));
}

/** What answers a turn of a conversation that an assistant and another go on with. */
export interface ReplyRequest {
  readonly conversation: WireConversation;
  /** The messages behind each of the assistant's turns so far. */
  readonly answers: readonly WireConversation["messages"][];
}

/** What stands between two turns in tokens and text, or why there is none. */
export type EncodedReply = EncodedPrompt | { readonly refusal: string };

/** What a chat template writes between turns; see {@link Encoder.reply}. Nothing is thrown for a request. */
export function encodeReplies(model: TextModel, requests: readonly ReplyRequest[], chat: ChatSettings): EncodedReply[] {
  const encoder = encoderOf(model, chat);
  return requests.map(({ conversation, answers }): EncodedReply => {
    try {
      const said = answers.map((messages) => messagesFromWire(messages, "messages"));
      return encoder.reply(fromWire(conversation, "conversation"), said);
    } catch (error) {
      return { refusal: RetortError.from(error).message };
    }
  });
}

/**
 * Prompts and completions in tokens. A completion that is text becomes what is learnt behind such a prompt: behind plain
 * text its own ids, without an end token; behind a conversation what the template writes for it, its end included.
 *
 * @throws InvalidArgument naming the sequence
 */
export function encodePairs(model: TextModel, pairs: readonly PromptPair[], chat: ChatSettings): EncodedPair[] {
  const where = (i: number) => `sequences[${i}]`;
  const encoder = encoderOf(model, chat);
  const prompts = encodePrompts(
    model,
    pairs.map(({ prompt }) => prompt),
    chat,
    where,
  );
  const paired = pairs.map(({ completion }, i) => ({ promptIds: prompts[i]!.ids, completionIds: completion }));
  const texts = [...pairs.keys()].filter((i) => typeof pairs[i]!.completion === "string");
  const isPlain = (i: number) => {
    const { prompt } = pairs[i]!;
    return prompt instanceof Int32Array || (typeof prompt === "string" && !chat.chat);
  };
  const plain = texts.filter(isPlain);
  const written = encoder.continuations(
    plain.map((i) => (pairs[i]!.prompt instanceof Int32Array ? spelled(model, pairs[i]!.prompt) : prompts[i]!)),
    plain.map((i) => pairs[i]!.completion as string),
  );
  plain.forEach((i, n) => {
    paired[i]!.completionIds = written[n]!;
  });
  const spoken = texts.filter((i) => !isPlain(i));
  const examples = encoder.examples(
    spoken.map((i) => ({
      prompt: promptIn(pairs[i]!.prompt as string | WireConversation, where(i)),
      completion: pairs[i]!.completion as string,
    })),
  );
  for (const [n, i] of spoken.entries()) {
    const example = examples[n]!;
    if (example.refusal !== undefined) throw new RetortError("InvalidArgument", `${where(i)}: ${example.refusal}`, { fieldPath: where(i) });
    paired[i]!.completionIds = found(example.completion, `the completion of ${where(i)}`);
  }
  return paired as EncodedPair[];
}

const encoderOf = ({ tokenizer, eosIds, layout }: TextModel, chat: ChatSettings): Encoder => new Encoder(tokenizer, eosIds, chat, layout);

/** A prompt of token ids with its text. */
const spelled = ({ tokenizer }: TextModel, ids: Int32Array): EncodedPrompt => ({ text: tokenizer.decode(ids), ids });

const promptIn = (prompt: string | WireConversation, where: string) =>
  typeof prompt === "string" ? prompt : fromWire(prompt, `${where}.conversation`);
