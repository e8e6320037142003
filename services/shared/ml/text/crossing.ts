// What the tokens of one tokenizer, the reader's, are in the tokens of another, the writer's.
import { tokensOf } from "./completion-tokens.js";
import type { Tokenizer } from "./tokenizer.js";

/** Bytes as a string of a character each, so that they can be compared, cut and looked up. */
export const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");

/**
 * What follows at some place of a text: a token of the writer; `open`, where the text ends before it is known which; undefined, where the
 * writer has no border.
 */
export type Following = number | "open" | undefined;

/** A token of the reader in the writer's: by the byte at which they begin. */
type Pieces = ReadonlyMap<number, Following>;

/** The tokens of a reader, as a writer would write their texts. What was looked up is kept. */
export class TokenCrossing {
  /** Most bytes of one of the reader's tokens. */
  readonly longest: number;
  readonly #writer: Tokenizer;
  readonly #texts: readonly (string | undefined)[];
  readonly #ids: ReadonlyMap<string, number>;
  /** The texts of the writer's tokens, in order. */
  readonly #sorted: readonly string[];
  readonly #longestWritten: number;
  readonly #pieces = new Map<string, Pieces>();

  /** @throws InvalidArgument for a tokenizer whose tokens don't spell one by one */
  constructor(reader: Tokenizer, writer: Tokenizer) {
    this.#writer = writer;
    this.#texts = textsOf(reader);
    this.longest = this.#texts.reduce((most, text) => Math.max(most, text?.length ?? 0), 0);
    const written = textsOf(writer);
    // Of several tokens that write the same, the first; which one the writer takes is asked of it, where it can be.
    this.#ids = new Map([...written.entries()].reverse().flatMap(([id, text]) => (text ? [[text, id] as const] : [])));
    this.#sorted = [...this.#ids.keys()].sort();
    this.#longestWritten = this.#sorted.reduce((most, text) => Math.max(most, text.length), 0);
  }

  /** The bytes of a token of the reader; undefined for one that writes none. */
  textOf(id: number): string | undefined {
    return this.#texts[id] || undefined;
  }

  /** What the writer writes from byte `at` of a token of the reader, which it begins to write at its first byte. */
  following(text: string, at: number): Following {
    return this.#piecesOf(text).get(at);
  }

  #piecesOf(text: string): Pieces {
    const known = this.#pieces.get(text);
    if (known) return known;
    const pieces = new Map<number, Following>();
    let at = 0;
    const ids = this.#written(text);
    for (const [i, { id, length }] of ids.entries()) {
      const isLast = i === ids.length - 1;
      pieces.set(at, !isLast && this.#isBegun(text.slice(at)) ? "open" : id);
      at += length;
    }
    // What the writer has no token for isn't known.
    if (at < text.length) pieces.set(at, "open");
    this.#pieces.set(text, pieces);
    return pieces;
  }

  /** A text in the writer's tokens: one, if one writes it; else as the writer cuts it up, or, where that isn't known, the longest first. */
  #written(text: string): readonly { readonly id: number; readonly length: number }[] {
    const asked = this.#asWriter(text);
    if (asked?.length === 1) return asked;
    const same = this.#ids.get(text);
    if (same !== undefined) return [{ id: same, length: text.length }];
    return asked ?? this.#longestFirst(text);
  }

  #asWriter(text: string) {
    const bytes = Buffer.from(text, "latin1");
    const characters = bytes.toString("utf8");
    if (characters.includes("\uFFFD")) return undefined;
    const { ids, byteLengths } = tokensOf(this.#writer, characters);
    if (byteLengths.reduce((sum, length) => sum + length, 0) !== bytes.length) return undefined;
    return Array.from(ids, (id, i) => ({ id, length: byteLengths[i]! }));
  }

  #longestFirst(text: string) {
    const pieces: { id: number; length: number }[] = [];
    for (let at = 0; at < text.length; ) {
      let length = Math.min(this.#longestWritten, text.length - at);
      while (length > 0 && !this.#ids.has(text.slice(at, at + length))) length--;
      const id = this.#ids.get(text.slice(at, at + length));
      if (id === undefined) break;
      pieces.push({ id, length });
      at += length;
    }
    return pieces;
  }

  /** Whether a token of the writer begins with a text that isn't all of it. */
  #isBegun(text: string): boolean {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle]! <= text) low = middle + 1;
      else high = middle;
    }
    return this.#sorted[low]?.startsWith(text) ?? false;
  }
}

/** By id. */
const textsOf = (tokenizer: Tokenizer): (string | undefined)[] =>
  Array.from({ length: tokenizer.size }, (_, id) => {
    const bytes = tokenizer.bytesOf(id);
    return bytes && latin1(bytes);
  });
