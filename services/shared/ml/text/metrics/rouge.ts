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
  let row = new Array<number>(theirs.length + 1).fill(0);
  for (const word of ours) {
    const next = [0];
    for (let j = 1; j <= theirs.length; j++) next[j] = word === theirs[j - 1] ? row[j - 1]! + 1 : Math.max(row[j]!, next[j - 1]!);
    row = next;
  }
  return f1(row.at(-1)!, ours.length, theirs.length);
}
