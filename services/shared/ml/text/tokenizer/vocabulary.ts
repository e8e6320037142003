import { vocabularyDigest } from "./digests.js";
import { isRecord } from "./parse.js";

/** The vocabulary of a tokenizer: every token of the model and every added one, sorted by id. */
export class Vocabulary {
  /** SHA-256; see vocabularyDigest. */
  readonly digest: string;
  readonly #tokens: readonly string[];
  readonly #ids: Int32Array;
  #byToken: ReadonlyMap<string, number> | undefined;

  /**
   * @param model the model of tokenizer.json, with its vocab
   * @param added ids of added tokens by text
   */
  constructor(model: unknown, added: ReadonlyMap<string, number>) {
    const vocab = isRecord(model) ? model.vocab : undefined;
    const ofModel = Array.isArray(vocab)
      ? [...new Map(vocab.map((entry, id) => [String((entry as unknown[])[0]), id]))]
      : (Object.entries(vocab ?? {}) as [string, number][]);
    const entries = ofModel.filter(([token]) => !added.has(token));
    for (const entry of added) entries.push(entry);
    entries.sort(([s, a], [t, b]) => a - b || (s < t ? -1 : 1));
    this.#tokens = entries.map(([token]) => token);
    this.#ids = Int32Array.from(entries, ([, id]) => id);
    this.digest = vocabularyDigest(this.#tokens, this.#ids);
  }

  /** The highest id and one; 0 for an empty vocabulary. */
  get size(): number {
    return (this.#ids.at(-1) ?? -1) + 1;
  }

  /** The id of a token. */
  idOf(token: string): number | undefined {
    this.#byToken ??= new Map(this.#tokens.map((each, i) => [each, this.#ids[i]!]));
    return this.#byToken.get(token);
  }

  /** The token of an id; of several, the first in the order of their characters. */
  tokenOf(id: number): string | undefined {
    let [low, high] = [0, this.#ids.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ids[middle]! < id) low = middle + 1;
      else high = middle;
    }
    return this.#ids[low] === id ? this.#tokens[low] : undefined;
  }
}
