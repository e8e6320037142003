import type { Json } from "../../config/fields.js";
import type { GgufToken } from "./vocabulary.js";

/** A tokenizer's parts in tokenizer.json. */
export interface TokenizerParts {
  /** What it is, in words. */
  readonly kind: string;
  /** Whether a beginning of sequence is added where the file does not say. */
  readonly addBos: boolean;
  readonly normalizer: Json | null;
  readonly preTokenizer: Json;
  readonly decoder: Json;
  readonly model: Json;
  /** The tokens as the vocabulary spells them. */
  readonly tokens: readonly GgufToken[];
}
