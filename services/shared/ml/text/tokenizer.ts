import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Template } from "@huggingface/jinja";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { RetortError } from "../../base/errors.js";

type Json = Record<string, unknown>;

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface SpecialIds {
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
}

/** Token ids of a text or a pair of texts, and which of the two each token belongs to (0 or 1). */
export interface EncodedText {
  readonly ids: Int32Array;
  readonly typeIds: Int32Array;
}

/** A tokenizer as Hugging Face's tokenizer.json describes it, with its special tokens and chat template. */
export class Tokenizer {
  /** tokenizer.json and tokenizer_config.json as text, by file name. */
  readonly files: Readonly<Record<string, string>>;
  readonly specials: SpecialIds;
  /** SHA-256 over the vocabulary (token, id) and the special ids, hexadecimal: equal digests, equal ids for every text. */
  readonly digest: string;
  /** SHA-256 of the chat template; of the empty string if there is none. */
  readonly templateDigest: string;
  readonly #inner: HuggingFaceTokenizer;
  readonly #template: string | undefined;
  readonly #config: Json;

  constructor(files: Readonly<Record<string, string>>) {
    this.files = files;
    const model = JSON.parse(files["tokenizer.json"]!) as Json;
    this.#config = JSON.parse(files["tokenizer_config.json"] ?? "{}") as Json;
    this.#inner = new HuggingFaceTokenizer(model, this.#config);
    this.#template =
      files["chat_template.jinja"] ?? (typeof this.#config.chat_template === "string" ? this.#config.chat_template : undefined);
    this.specials = { bosId: this.#special("bos_token"), eosId: this.#special("eos_token"), padId: this.#special("pad_token") };
    this.digest = sha256(JSON.stringify([[...this.#vocabulary(model)].sort(([, a], [, b]) => a - b), this.specials]));
    this.templateDigest = sha256(this.#template ?? "");
  }

  /** Loads the tokenizer of a model directory. */
  static async load(directory: string): Promise<Tokenizer> {
    const read = (name: string) => readFile(join(directory, name), "utf8").catch(() => undefined);
    const [model, config, template] = await Promise.all([
      read("tokenizer.json"),
      read("tokenizer_config.json"),
      read("chat_template.jinja"),
    ]);
    if (model === undefined) {
      throw new RetortError(
        "NotFound",
        `${directory} has no tokenizer.json; save it with the fast tokenizer (AutoTokenizer(…, use_fast=True).save_pretrained)`,
      );
    }
    return new Tokenizer({
      "tokenizer.json": model,
      ...optional("tokenizer_config.json", config),
      ...optional("chat_template.jinja", template),
    });
  }

  /** Token ids of a text; with `addSpecial`, what the tokenizer puts around every text (a start token, say). */
  encode(text: string, { addSpecial = false }: { addSpecial?: boolean } = {}): Int32Array {
    return Int32Array.from(this.#inner.encode(text, { add_special_tokens: addSpecial }).ids);
  }

  /** Most tokens that a text may have by tokenizer_config.json; undefined if it says nothing. */
  get maxTokens(): number | undefined {
    const { model_max_length: length } = this.#config;
    // transformers writes 1e30 for "not known".
    return typeof length === "number" && length < 1e9 ? length : undefined;
  }

  /**
   * A text, or two, with what the tokenizer puts around and between them. A start token that the text begins with itself,
   * as chat templates write it, is not put there twice.
   */
  encodeText(text: string, pair?: string): EncodedText {
    const options = { text_pair: pair ?? null, add_special_tokens: true, return_token_type_ids: true } as const;
    const { ids, token_type_ids } = this.#inner.encode(text, options) as { ids: number[]; token_type_ids?: number[] };
    const { bosId } = this.specials;
    const from = bosId !== undefined && ids[0] === bosId && ids[1] === bosId ? 1 : 0;
    // Only tokenizers that put something around a text give types.
    const types = token_type_ids ?? ids.map(() => 0);
    return { ids: Int32Array.from(ids.slice(from)), typeIds: Int32Array.from(types.slice(from)) };
  }

  /** The text of token ids. */
  decode(ids: Iterable<number>, { skipSpecial = true }: { skipSpecial?: boolean } = {}): string {
    return this.#inner.decode(Array.from(ids), { skip_special_tokens: skipSpecial, clean_up_tokenization_spaces: false });
  }

  /** The prompt that the model's chat template makes of messages. */
  applyChatTemplate(messages: readonly ChatMessage[], { addGenerationPrompt = true }: { addGenerationPrompt?: boolean } = {}): string {
    if (!this.#template)
      throw new RetortError("FailedPrecondition", "this tokenizer has no chat template; give prompts as text instead of messages");
    const words = { bos_token: tokenText(this.#config.bos_token), eos_token: tokenText(this.#config.eos_token) };
    return new Template(this.#template).render({ messages, add_generation_prompt: addGenerationPrompt, ...words });
  }

  #special(field: string): number | undefined {
    const text = tokenText(this.#config[field]);
    return text === undefined ? undefined : this.#inner.token_to_id(text);
  }

  #vocabulary(model: Json): Map<string, number> {
    const { vocab } = model.model as { vocab: Record<string, number> | [string, number][] };
    const entries = Array.isArray(vocab) ? vocab.map(([token], id) => [token, id] as const) : Object.entries(vocab);
    const all = new Map<string, number>(entries);
    for (const [id, token] of this.#inner.get_added_tokens_decoder()) all.set(token.content, id);
    return all;
  }
}

const optional = (name: string, text: string | undefined): Record<string, string> => (text === undefined ? {} : { [name]: text });

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

const tokenText = (value: unknown): string | undefined =>
  typeof value === "string" ? value : ((value as { content?: string } | null | undefined)?.content ?? undefined);
