import { vocabularyDigest } from "./digests.js";
import type { NativeTokenizer } from "./native.js";

interface Entries {
  readonly ids: ReadonlyMap<string, number>;
  readonly tokens: ReadonlyMap<number, string>;
  readonly size: number;
  readonly digest: string;
}

/** The vocabulary of a native tokenizer with its added tokens, read when it is first asked; equal tokenizers share it. */
export class Vocabulary {
  static readonly #known = new WeakMap<NativeTokenizer, Entries>();
  readonly #native: NativeTokenizer;

  constructor(native: NativeTokenizer) {
    this.#native = native;
  }

  /** SHA-256; see vocabularyDigest. */
  get digest(): string {
    return this.#entries.digest;
  }

  /** The highest id and one; 0 for an empty vocabulary. */
  get size(): number {
    return this.#entries.size;
  }

  /** The id of a token. */
  idOf(token: string): number | undefined {
    return this.#entries.ids.get(token);
  }

  /** The token of an id. */
  tokenOf(id: number): string | undefined {
    return this.#entries.tokens.get(id);
  }

  get #entries(): Entries {
    const known = Vocabulary.#known.get(this.#native);
    if (known) return known;
    const { tokens, ids } = this.#native.vocabulary();
    const entries = {
      ids: new Map(tokens.map((token, i) => [token, ids[i]!])),
      tokens: new Map(tokens.map((token, i) => [ids[i]!, token])),
      size: (ids.at(-1) ?? -1) + 1,
      digest: vocabularyDigest({ tokens, ids }),
    };
    Vocabulary.#known.set(this.#native, entries);
    return entries;
  }
}
