/** What travels between a thread and its thread of native tokenizers: plain data. */

/** A token that is found in a text before the model sees it, as the Rust core has it. */
export interface AddedToken {
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/** A special token by its text, and its id where the text has none; without it, it is refused. */
export interface PostToken {
  readonly text: string;
  /** The token whose id it gets, if not that of its own text. */
  readonly idOf?: string;
  readonly otherwise?: number;
}

/** A post-processor whose token ids are looked up once the tokens are added. */
export type PostProcessor =
  | { readonly type: "template"; readonly single: string; readonly pair: string; readonly tokens: readonly PostToken[] }
  | {
      readonly type: "roberta";
      readonly sep: PostToken;
      readonly cls: PostToken;
      readonly trimOffsets: boolean;
      readonly addPrefixSpace: boolean;
    };

/** How a native tokenizer is made: a tokenizer.json, then tokens that are added in batches, then the post-processor. */
export interface TokenizerPlan {
  readonly json: string;
  readonly batches: readonly (readonly AddedToken[])[];
  readonly postProcessor?: PostProcessor;
  /** Texts of all added tokens, whose ids the answer names. */
  readonly added: readonly string[];
}

/** A question to the thread of native tokenizers. */
export type Request =
  | { readonly op: "create"; readonly plan: TokenizerPlan }
  | { readonly op: "release"; readonly handle: number }
  | { readonly op: "encode"; readonly handle: number; readonly texts: readonly string[]; readonly addSpecial: boolean }
  | { readonly op: "encodePair"; readonly handle: number; readonly text: string; readonly pair: string | null }
  | { readonly op: "decode"; readonly handle: number; readonly sequences: readonly Uint32Array[]; readonly skipSpecial: boolean }
  | { readonly op: "pieces"; readonly handle: number; readonly text: string };

/** The answer of each kind of question. */
export interface Answers {
  create: { handle: number; addedIds: (number | null)[] };
  /** None is sent. */
  release: undefined;
  /** All ids one after another, and where each text's end. */
  encode: { ids: Int32Array; ends: Int32Array };
  encodePair: { ids: Int32Array; typeIds: Int32Array };
  decode: { texts: string[] };
  pieces: { texts: string[] };
}

/** Any answer. */
export type Answer = Exclude<Answers[keyof Answers], undefined>;

/**
 * What the native side says of a failure: its message, the part of tokenizer.json or the text of the batch that is at fault,
 * or that the library itself cannot be loaded.
 */
export interface NativeError {
  readonly message: string;
  readonly part?: string;
  readonly index?: number;
  readonly library?: boolean;
}
