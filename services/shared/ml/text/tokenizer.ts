import { RetortError } from "../../base/errors.js";
import { Template } from "../../base/jinja/template.js";
import { buildTokenizer, designTokenizer, type TokenizerDesign } from "./tokenizer/build.js";
import { type ChatMessage, type ChatOptions, renderChat } from "./tokenizer/chat/render.js";
import { chatTemplates, chooseTemplate } from "./tokenizer/chat/templates.js";
import { encodingDigest, sha256 } from "./tokenizer/digests.js";
import { isTokenizerFile, readTokenizerFiles } from "./tokenizer/files.js";
import { NativeFailure, type NativeTokenizer } from "./tokenizer/native/native-tokenizer.js";
import { type Json, parseFiles } from "./tokenizer/parse.js";
import { type SpecialTokens, textOf } from "./tokenizer/special-tokens.js";
import { type SpellToken, tokenSpelling } from "./tokenizer/token-bytes.js";
import { unknownPiece } from "./tokenizer/unknown-piece.js";
import { Vocabulary } from "./tokenizer/vocabulary.js";

export type { ChatMessage, ChatOptions } from "./tokenizer/chat/render.js";
export { isTokenizerFile, tokenizerFiles, tokenizerPaths } from "./tokenizer/files.js";

/** Ids of the special tokens that have a part of their own; undefined where the files name none. */
export interface SpecialIds {
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
  readonly unkId: number | undefined;
}

/** Token ids of a text or a pair of texts, and which of the two each token belongs to (0 or 1). */
export interface EncodedText {
  readonly ids: Int32Array;
  readonly typeIds: Int32Array;
}

/**
 * A tokenizer that gives the ids of AutoTokenizer of transformers 5.24 for the same files: Hugging Face's Rust core, called
 * synchronously, with special tokens and chat templates as transformers reads them.
 */
export class Tokenizer {
  /** The tokenizer's files as text, by path within a model directory. */
  readonly files: Readonly<Record<string, string>>;
  readonly specials: SpecialIds;
  /** SHA-256 of the chat template, of all if there are several and no default; of the empty string if there is none. */
  readonly templateDigest: string;
  /** Chat templates by name, `default` for the only one. */
  readonly templates: ReadonlyMap<string, string>;
  /** Ids of added tokens that are special: those that `decode` leaves out. */
  readonly specialIds: ReadonlySet<number>;
  readonly #given: Readonly<Record<string, string>>;
  readonly #native: NativeTokenizer;
  readonly #special: SpecialTokens;
  readonly #config: Json;
  readonly #compiled = new Map<string, Template>();
  #lazyVocabulary: Vocabulary | undefined;
  #lazyEncodingDigest: string | undefined;
  #lazySpelling: SpellToken | undefined;

  /**
   * @param files texts by path within a model directory; config.json may be among them, for its model_type
   * @throws InvalidArgument naming the file, the part and the way out, for what transformers raises at or what is not read here
   */
  constructor(files: Readonly<Record<string, string>>) {
    this.files = Object.fromEntries(Object.entries(files).filter(([path]) => isTokenizerFile(path)));
    const parsed = parseFiles(files);
    this.#config = parsed.config;
    this.templates = chatTemplates(this.files, parsed);
    this.#given = files;
    const design = designTokenizer(parsed, files["tokenizer.json"]!);
    this.#special = design.special;
    this.#native = buildTokenizer(design);
    const { addedIds } = this.#native;
    const id = (name: string) => {
      const token = design.special.named.get(name);
      return token === undefined ? undefined : addedIds.get(textOf(token));
    };
    this.specials = { bosId: id("bos_token"), eosId: id("eos_token"), padId: id("pad_token"), unkId: id("unk_token") };
    const special = [...design.added.values()].filter((token) => token.special);
    this.specialIds = new Set(special.flatMap(({ content }) => addedIds.get(content) ?? []));
    const single = this.templates.get("default");
    this.templateDigest = sha256(single ?? (this.templates.size === 0 ? "" : JSON.stringify([...this.templates].sort())));
  }

  /**
   * Loads the tokenizer of a model directory.
   *
   * @param model directory of the model's config.json, which has a say in it, if that is another
   * @throws NotFound without tokenizer.json, and what the constructor throws
   */
  static async load(directory: string, model = directory): Promise<Tokenizer> {
    const files = await readTokenizerFiles(directory, model);
    try {
      return new Tokenizer(files);
    } catch (error) {
      const { code, message, problems } = RetortError.from(error);
      throw new RetortError(code, `${directory}: ${message}`, { problems, cause: error });
    }
  }

  /** SHA-256 over (id, token) of the whole vocabulary, added tokens among them: equal digests, equal meaning of every id. */
  get digest(): string {
    return this.#vocabulary.digest;
  }

  /** The highest id and one: rows that a model needs for it. */
  get size(): number {
    return this.#vocabulary.size;
  }

  /** SHA-256 of how text becomes ids: rules, merges, flags of added tokens; not the vocabulary. */
  get encodingDigest(): string {
    if (this.#lazyEncodingDigest === undefined) {
      const { tokenizer, added, plan } = this.#design();
      this.#lazyEncodingDigest = encodingDigest({ tokenizer, added: [...added.values()], postProcessor: plan.postProcessor });
    }
    return this.#lazyEncodingDigest;
  }

  /** Most tokens that a text may have by tokenizer_config.json; undefined if it says nothing. */
  get maxTokens(): number | undefined {
    const length = this.#config.model_max_length ?? this.#config.max_len;
    // transformers writes 1e30 for "not known".
    return typeof length === "number" && length < 1e9 ? length : undefined;
  }

  /** The id of a token, added ones among them. */
  tokenToId(token: string): number | undefined {
    return this.#native.addedIds.get(token) ?? this.#vocabulary.idOf(token);
  }

  /** The token of an id. */
  idToToken(id: number): string | undefined {
    return this.#vocabulary.tokenOf(id);
  }

  /**
   * The bytes that a token adds to a text behind others; see tokenSpelling. Undefined for special tokens, which are no text, and for ids
   * without a token.
   *
   * @throws InvalidArgument for a tokenizer whose tokens don't spell one by one
   */
  bytesOf(id: number): Uint8Array | undefined {
    this.#lazySpelling ??= tokenSpelling(this.#design().tokenizer.decoder);
    const token = this.specialIds.has(id) ? undefined : this.idToToken(id);
    return token === undefined ? undefined : this.#lazySpelling(token);
  }

  /**
   * Token ids of a text; with `addSpecial`, what the tokenizer puts around every text (a start token, say).
   *
   * @throws InvalidArgument naming the piece that has no token, where there is no token for unknown ones
   */
  encode(text: string, options: { addSpecial?: boolean } = {}): Int32Array {
    return this.encodeAll([text], options)[0]!;
  }

  /** Token ids of texts, as {@link encode} gives them, in one call of the Rust core. */
  encodeAll(texts: readonly string[], { addSpecial = false }: { addSpecial?: boolean } = {}): Int32Array[] {
    texts.forEach(requireText);
    return this.#asking(texts, () => this.#native.encode(texts, addSpecial));
  }

  /**
   * A text, or two, with what the tokenizer puts around and between them. A start token that the text begins with itself,
   * as chat templates write it, is not put there twice.
   */
  encodeText(text: string, pair?: string): EncodedText {
    const texts = pair === undefined ? [text] : [text, pair];
    texts.forEach(requireText);
    const { ids, typeIds } = this.#asking(texts, () => this.#native.encodePair(text, pair ?? null));
    const { bosId } = this.specials;
    const from = bosId !== undefined && ids[0] === bosId && ids[1] === bosId ? 1 : 0;
    return { ids: ids.slice(from), typeIds: typeIds.slice(from) };
  }

  /** The text of token ids, as it was written: nothing is cleaned up. Ids that have no token give no text. */
  decode(ids: Iterable<number>, options: { skipSpecial?: boolean } = {}): string {
    return this.decodeAll([ids], options)[0]!;
  }

  /** The texts of sequences of token ids, as {@link decode} gives them, in one call of the Rust core. */
  decodeAll(sequences: readonly Iterable<number>[], { skipSpecial = true }: { skipSpecial?: boolean } = {}): string[] {
    const ids = sequences.map((sequence) => Uint32Array.from(sequence, requireId));
    return this.#native.decode(ids, skipSpecial);
  }

  /** The source of the chat template: the named one, else `tool_use` where there are tools, else `default`; see chooseTemplate. */
  templateOf(name?: string, hasTools = false): string {
    return chooseTemplate(this.templates, name, hasTools);
  }

  /** Names that the chat template reads: those it may be given beside the messages, and those it always is. */
  templateNames(name?: string, hasTools = false): readonly string[] {
    return this.#compile(this.templateOf(name, hasTools)).names;
  }

  /**
   * The text that the chat template makes of a conversation, as transformers' apply_chat_template makes it.
   *
   * @throws FailedPrecondition if there is no template; InvalidArgument that says why the template failed
   */
  applyChatTemplate(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
    const { tools } = options;
    const source = this.templateOf(options.template, tools !== undefined && tools !== null);
    const words = Object.fromEntries([...this.#special.named].map(([name, token]) => [name, textOf(token)]));
    return renderChat(source, (text) => this.#compile(text), messages, words, options);
  }

  /** The parsed files are as large as the vocabulary and seldom asked for, so that they are read again and not kept. */
  #design(): TokenizerDesign {
    return designTokenizer(parseFiles(this.#given), this.#given["tokenizer.json"]!);
  }

  get #vocabulary(): Vocabulary {
    this.#lazyVocabulary ??= new Vocabulary(this.#design().tokenizer.model, this.#native.addedIds);
    return this.#lazyVocabulary;
  }

  #compile(source: string): Template {
    const known = this.#compiled.get(source);
    if (known) return known;
    const template = new Template(source);
    this.#compiled.set(source, template);
    return template;
  }

  #asking<T>(texts: readonly string[], work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof NativeFailure)) throw error;
      const piece = unknownPiece(this.#native, this.#design().tokenizer.model, texts, error.detail.index);
      const what = piece === undefined ? "a text has no ids" : `${JSON.stringify(piece)} has no token`;
      throw new RetortError(
        "InvalidArgument",
        `${what}: ${error.message}; tokenizer.json's model.unk_token must be in its vocabulary, or texts keep to the vocabulary`,
        { fieldPath: "text", cause: error },
      );
    }
  }
}

function requireText(text: string): void {
  if (/\p{Surrogate}/u.test(text))
    throw new RetortError("InvalidArgument", "a text holds half of a surrogate pair, which no tokenizer reads; mend its encoding");
}

function requireId(id: number): number {
  if (Number.isInteger(id) && id >= 0 && id <= 0xffffffff) return id;
  throw new RetortError("InvalidArgument", `${id} isn't a token id; ids are whole numbers from 0`);
}
