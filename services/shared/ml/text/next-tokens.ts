// A teacher's distribution over its own next token, as one over the student's. Dimensions: N tokens of the student, M of the teacher, K classes.
import type { TokenCrossing } from "./crossing.js";

/** A text as the teacher read it, with its most probable classes at each of its tokens. */
export interface ReadText {
  /** [M]: bytes that each of its tokens writes; 0 for the end token. */
  readonly byteLengths: Uint16Array;
  /** [M]: log-probability of each of its tokens. */
  readonly logprobs: Float32Array;
  /** [M, K], and their log-probabilities. */
  readonly ids: Int32Array;
  readonly topLogprobs: Float32Array;
  /** [M]: log of the mass outside of them. */
  readonly tail: Float32Array;
  /** The teacher's end token; undefined where it has none. */
  readonly endId: number | undefined;
}

/** The same text as the student wrote it. */
export interface WrittenBytes {
  /** In latin1: a character for each byte. */
  readonly text: string;
  /** [N]: bytes that each token writes; 0 for the end token. */
  readonly byteLengths: Uint16Array;
  /** The student's end token; {@link noToken} where it has none. */
  readonly endId: number;
}

/**
 * What a teacher with its own tokens gives to what it never writes: a token of the student that no text has, all that none of its tokens goes on
 * with. It has no probability for it. Were it left out, a student could flee there from every token that is scored. As improbable as
 * what models were never shown, and finite, so that one such token doesn't outweigh a batch.
 */
export const unwrittenLogprob = -20;

/** Distributions over the student's next token. */
export interface NextTokens {
  /** How many a row has: as the teacher names, at most as many as the student has. */
  readonly k: number;
  /** [rows, k]: of a row, different ones. */
  readonly ids: Int32Array;
  /** [rows, k]: −∞ for classes that fill a row up, of which nothing is said. */
  readonly topLogprobs: Float32Array;
  /** [rows]: log of the mass of all that isn't among them, at least {@link unwrittenLogprob}. */
  readonly tail: Float32Array;
  /** [rows]: 1 where the teacher says something. */
  readonly known: Uint8Array;
}

/** Stands for what is no token: mass whose token isn't known. */
export const noToken = -1;

/**
 * The teacher's distribution over what the student writes next, at each of the student's tokens: p(v | text so far) = Σ p(z) over the
 * teacher's tokens z whose text goes on with v.
 *
 * At byte o, with the text cut by the teacher at o_0 < o_1 < …, a token z of the distribution at o_i ≤ o counts where its text begins with
 * that between o_i and o, and where the student, who begins to write z at o_i, has a border at o. Its mass is p_i(z) times that of the tokens
 * before o_i. A text in whose tokens the two agree has the teacher's own distribution: its longer tokens would be the student's, too.
 *
 * @param count rows to make, N or more: of those behind the text nothing is said
 * @param vocab classes of the student
 */
export function nextTokens(crossing: TokenCrossing, read: ReadText, written: WrittenBytes, count: number, vocab: number): NextTokens {
  const k = read.byteLengths.length ? read.ids.length / read.byteLengths.length : 0;
  const columns = Math.min(k, vocab);
  const found: NextTokens = {
    k: columns,
    ids: new Int32Array(count * columns),
    topLogprobs: new Float32Array(count * columns).fill(Number.NEGATIVE_INFINITY),
    tail: new Float32Array(count),
    known: new Uint8Array(count),
  };
  const places = new Places(crossing, read, written, k);
  let at = 0;
  for (let n = 0; n < count; n++) {
    const masses = n < written.byteLengths.length ? places.massesAt(at) : undefined;
    if (masses) found.known[n] = 1;
    fillRow(found, n, masses ?? new Map());
    at += written.byteLengths[n] ?? 0;
  }
  return found;
}

/** Writes one row: the most probable classes, and the mass of the others. @param masses relative to each other */
function fillRow({ k, ids, topLogprobs, tail }: NextTokens, n: number, masses: ReadonlyMap<number, number>): void {
  const total = [...masses.values()].reduce((sum, mass) => sum + mass, 0);
  const classes = [...masses].filter(([id, mass]) => id !== noToken && mass > 0).sort(([a, p], [b, q]) => q - p || a - b);
  const kept = classes.slice(0, k);
  kept.forEach(([id, mass], i) => {
    ids[n * k + i] = id;
    topLogprobs[n * k + i] = Math.log(mass / total);
  });
  const others = classes.slice(k).reduce((sum, [, mass]) => sum + mass, masses.get(noToken) ?? 0);
  tail[n] = total > 0 ? Math.max(Math.log(others / total), unwrittenLogprob) : 0;
  const taken = new Set(kept.map(([id]) => id));
  for (let [i, id] = [kept.length, 0]; i < k; id++) if (!taken.has(id)) ids[n * k + i++] = id;
}

/** One of the teacher's tokens, and how probable it is somewhere. */
interface Class {
  readonly id: number;
  /** Undefined for one that is no text. */
  readonly text: string | undefined;
  readonly mass: number;
}

/** Where the teacher's tokens begin in a text, and what it expects at each place. */
class Places {
  readonly #crossing: TokenCrossing;
  readonly #read: ReadText;
  readonly #written: WrittenBytes;
  /** [M][K]: the classes where each of the teacher's tokens begins. */
  readonly #classes: readonly Class[][];
  /** [M]: the mass outside of them. */
  readonly #tail: readonly number[];
  /** [M]: bytes of the longest of them. */
  readonly #longest: readonly number[];
  /** [M]: the byte at which each of the teacher's tokens begins. */
  readonly #begins: readonly number[];
  /** Bytes at which a token of the student begins. */
  readonly #borders: ReadonlySet<number>;

  constructor(crossing: TokenCrossing, read: ReadText, written: WrittenBytes, k: number) {
    this.#crossing = crossing;
    this.#read = read;
    this.#written = written;
    this.#classes = Array.from(read.byteLengths, (_, m) =>
      Array.from(read.ids.subarray(m * k, (m + 1) * k), (id, i) => ({
        id,
        text: crossing.textOf(id),
        mass: Math.exp(read.topLogprobs[m * k + i]!),
      })),
    );
    this.#begins = beginsOf(read.byteLengths);
    this.#borders = new Set(beginsOf(written.byteLengths));
    this.#tail = this.#classes.map((row, m) => {
      // What the teacher read is known, though it isn't among the most probable.
      const text = written.text.slice(this.#begins[m]!, this.#begins[m]! + read.byteLengths[m]!);
      const outside = Math.exp(read.tail[m]!);
      if (text === "" || row.some((one) => one.text === text)) return outside;
      const mass = Math.min(outside, Math.exp(read.logprobs[m]!));
      row.push({ id: noToken, text, mass });
      return outside - mass;
    });
    this.#longest = this.#classes.map((row) => row.reduce((most, { text = "" }) => Math.max(most, text.length), 0));
  }

  /** The masses of what follows at byte `at`, by the student's token; undefined where the teacher says nothing of it. */
  massesAt(at: number): Map<number, number> | undefined {
    const { byteLengths, logprobs } = this.#read;
    const own = this.#begins.findLastIndex((begin) => begin <= at);
    const begin = this.#begins[own];
    if (begin === undefined || (at > begin && at >= begin + byteLengths[own]!)) return undefined;
    const masses = new Map<number, number>();
    const add = (id: number, mass: number) => masses.set(id, (masses.get(id) ?? 0) + mass);
    // Relative to the path that has come to `own`.
    if (at === begin) this.#addOwn(own, add);
    else this.#addWithin(own, at, 1, add);
    let weight = 1;
    for (let i = own - 1; i >= 0 && at - this.#begins[i]! < this.#crossing.longest; i--) {
      weight /= Math.max(Math.exp(logprobs[i]!), Number.MIN_VALUE);
      if (!Number.isFinite(weight)) break;
      if (at - this.#begins[i]! < this.#longest[i]! && this.#borders.has(this.#begins[i]!)) this.#addLonger(i, at, weight, add);
    }
    const total = [...masses.values()].reduce((sum, mass) => sum + mass, 0);
    if (!(total > 0) || !Number.isFinite(total)) return undefined;
    // Within a token, what it isn't told of the others may have begun otherwise: nothing is said where that is the greater part.
    return at > begin && total <= this.#tail[own]! ? undefined : masses;
  }

  /** What the teacher expects where one of its tokens begins. */
  #addOwn(row: number, add: (id: number, mass: number) => void): void {
    const { endId } = this.#read;
    for (const { id, text, mass } of this.#classes[row]!) {
      const next = text === undefined ? undefined : this.#crossing.following(text, 0);
      add(id === endId ? this.#written.endId : typeof next === "number" ? next : noToken, mass);
    }
    add(noToken, this.#tail[row]!);
  }

  /** What it expects within one of its tokens: those that go on, and, unknown, what follows one that would end here. */
  #addWithin(row: number, at: number, weight: number, add: (id: number, mass: number) => void): void {
    const begin = this.#begins[row]!;
    const before = this.#written.text.slice(begin, at);
    if (this.#borders.has(begin)) this.#addLonger(row, at, weight, add);
    for (const { text, mass } of this.#classes[row]!) {
      if (text === before) add(noToken, weight * mass);
      else if (!this.#borders.has(begin) && text?.startsWith(before)) {
        // The student has written across the token's beginning: it goes on with what is left of it.
        const next = this.#crossing.following(text.slice(before.length), 0);
        add(typeof next === "number" ? next : noToken, weight * mass);
      }
    }
  }

  /** Tokens that begin before byte `at` and go on behind it, where the student has a border within them there. */
  #addLonger(row: number, at: number, weight: number, add: (id: number, mass: number) => void): void {
    const before = this.#written.text.slice(this.#begins[row]!, at);
    for (const { text, mass } of this.#classes[row]!) {
      if (text === undefined || text.length <= before.length || !text.startsWith(before)) continue;
      const next = this.#crossing.following(text, before.length);
      if (next !== undefined) add(next === "open" ? noToken : next, weight * mass);
    }
  }
}

function beginsOf(byteLengths: Uint16Array): number[] {
  let at = 0;
  return Array.from(byteLengths, (length) => {
    at += length;
    return at - length;
  });
}
