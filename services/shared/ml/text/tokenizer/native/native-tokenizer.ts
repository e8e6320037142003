import { createHash } from "node:crypto";
import { ask, tell } from "./bridge.js";
import type { TokenizerPlan } from "./plan.js";

export { NativeFailure } from "./bridge.js";

const alive = new Map<string, WeakRef<NativeTokenizer>>();
const releases = new FinalizationRegistry<{ handle: number; key: string }>(({ handle, key }) => {
  if (!alive.get(key)?.deref()) alive.delete(key);
  tell({ op: "release", handle });
});

/**
 * A tokenizer of the Rust core, used synchronously. Equal plans share one; it is released with its last user.
 */
export class NativeTokenizer {
  readonly #handle: number;
  /** Ids of the plan's added tokens, by text. */
  readonly addedIds: ReadonlyMap<string, number>;

  private constructor(plan: TokenizerPlan, key: string) {
    const { handle, addedIds } = ask({ op: "create", plan });
    this.#handle = handle;
    this.addedIds = new Map(plan.added.flatMap((token, i) => (addedIds[i] == null ? [] : [[token, addedIds[i]!] as const])));
    releases.register(this, { handle: this.#handle, key });
  }

  /** @throws NativeFailure with the part of tokenizer.json that the core does not read */
  static of(plan: TokenizerPlan): NativeTokenizer {
    const rest = JSON.stringify([plan.batches, plan.postProcessor, plan.added]);
    const key = createHash("sha256").update(plan.json).update("\0").update(rest).digest("hex");
    const known = alive.get(key)?.deref();
    if (known) return known;
    const made = new NativeTokenizer(plan, key);
    alive.set(key, new WeakRef(made));
    return made;
  }

  /** Token ids of every text. @throws NativeFailure with the index of the text that fails */
  encode(texts: readonly string[], addSpecial: boolean): Int32Array[] {
    if (texts.length === 0) return [];
    const { ids, ends } = ask({ op: "encode", handle: this.#handle, texts, addSpecial });
    return Array.from(ends, (end, i) => ids.slice(i === 0 ? 0 : ends[i - 1]!, end));
  }

  /** Token ids of a text or a pair with special tokens, and which of the two each belongs to. */
  encodePair(text: string, pair: string | null): { ids: Int32Array; typeIds: Int32Array } {
    return ask({ op: "encodePair", handle: this.#handle, text, pair });
  }

  /** The texts of token ids; ids that have no token are left out. */
  decode(sequences: readonly Uint32Array[], skipSpecial: boolean): string[] {
    return sequences.length === 0 ? [] : ask({ op: "decode", handle: this.#handle, sequences, skipSpecial }).texts;
  }

  /** What normalizer and pre-tokenizer make of a text: the pieces that the model sees. */
  pieces(text: string): string[] {
    return ask({ op: "pieces", handle: this.#handle, text }).texts;
  }
}
