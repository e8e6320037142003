import { countNgrams } from "./ngrams.js";

/**
 * ROUGE F1 between two texts (Lin 2004), as the `rouge-score` package computes it without stemming: lower case, runs of
 * Latin letters and digits are words. 0 if either text has no words (or no n-grams).
 */
const words = (text: string): string[] => text.toLowerCase().match(/[a-z0-9]+/g) ?? [];

const f1 = (overlap: number, candidate: number, reference: number): number => (overlap === 0 ? 0 : (2 * overlap) / (candidate + reference));

/** ROUGE-N: F1 of the shared n-grams, each counted as often as both texts have it. */
export function rougeN(candidate: string, reference: string, n: number): number {
  const [ours, theirs] = [words(candidate), words(reference)];
  const grams = countNgrams(theirs, n);
  let overlap = 0;
  for (const [gram, count] of countNgrams(ours, n)) overlap += Math.min(count, grams.get(gram) ?? 0);
  return f1(overlap, Math.max(0, ours.length - n + 1), Math.max(0, theirs.length - n + 1));
}

/** ROUGE-L: F1 of the longest common subsequence of words. */
export function rougeL(candidate: string, reference: string): number {
  const [ours, theirs] = [words(candidate), words(reference)];
  return f1(commonLength(ours, theirs), ours.length, theirs.length);
}

/** Bits of one word of the vectors: few enough for sums to be exact. */
const wordBits = 30;

/**
 * Length of the longest common subsequence, with a bit for each of `columns` (Hyyrö 2004, "Bit-parallel LCS-length computation
 * revisited"): V = (V + (V & M)) | (V & ~M) for each row, where M has the columns that are equal to it; each zero of V is one.
 * Time is rows × columns / 30.
 */
function commonLength(rows: readonly string[], columns: readonly string[]): number {
  const size = Math.ceil(columns.length / wordBits);
  const full = 2 ** wordBits - 1;
  const vector = new Int32Array(size).fill(full);
  const places = new Map<string, Places>();
  for (const [column, name] of columns.entries()) {
    const own = places.get(name) ?? { words: [], bits: [] };
    places.set(name, own);
    const word = Math.floor(column / wordBits);
    if (own.words.at(-1) !== word) {
      own.words.push(word);
      own.bits.push(0);
    }
    own.bits[own.bits.length - 1]! |= 1 << (column % wordBits);
  }
  const none: Places = { words: [], bits: [] };
  for (const row of rows) addRow(vector, places.get(row) ?? none, full);
  let length = 0;
  for (let column = 0; column < columns.length; column++)
    if (((vector[Math.floor(column / wordBits)]! >> (column % wordBits)) & 1) === 0) length++;
  return length;
}

/** The columns of a name: words of the vector, in order, and the bits in each. */
interface Places {
  readonly words: number[];
  readonly bits: number[];
}

/** One row: only words with a column that is equal, and those that a carry reaches, change. */
function addRow(vector: Int32Array, { words, bits }: Places, full: number): void {
  let [carry, next] = [0, 0];
  for (let i = 0; i <= words.length; i++) {
    const word = i < words.length ? words[i]! : vector.length;
    for (; carry && next < word; next++) {
      const value = vector[next]!;
      vector[next] = ((value + 1) & full) | value;
      carry = value === full ? 1 : 0;
    }
    if (word === vector.length) return;
    const value = vector[word]!;
    const sum = value + (value & bits[i]!) + carry;
    vector[word] = (sum & full) | (value & ~bits[i]!);
    carry = sum >> wordBits;
    next = word + 1;
  }
}
