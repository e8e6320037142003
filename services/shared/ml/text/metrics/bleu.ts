import { type BleuUnit, bleuTokens } from "./bleu-tokens.js";
import { countNgrams } from "./ngrams.js";

const orders = [1, 2, 3, 4] as const;

interface Counted {
  readonly length: number;
  /** Counts of the n-grams, by order − 1. */
  readonly grams: readonly ReadonlyMap<string, number>[];
}

function counted(text: string, unit: BleuUnit): Counted {
  const tokens = bleuTokens(text, unit);
  return { length: tokens.length, grams: orders.map((n) => countNgrams(tokens, n)) };
}

/**
 * Sentence BLEU in [0, 1] (Papineni et al. 2002), equal to sacrebleu's `sentence_bleu` / 100: words by 13a, orders 1..4
 * as far as the candidate is long enough, exponential smoothing (the k-th order without a match counts as 1/2ᵏ matches),
 * 0 if nothing matches at all.
 */
export const bleu = (candidate: string, reference: string): number => score(counted(candidate, "word"), [counted(reference, "word")]);

/** Sentence BLEU over characters instead of words; white space does not count. */
export const bleuCharacters = (candidate: string, reference: string): number =>
  score(counted(candidate, "character"), [counted(reference, "character")]);

/**
 * Self-BLEU in [0, 1] (Zhu et al. 2018): the mean BLEU of each text against all the others as its references. High means
 * that the texts resemble each other. Needs at least two texts; its cost is quadratic in their number.
 */
export function selfBleu(texts: readonly string[], unit: BleuUnit = "word"): number {
  if (texts.length < 2) return Number.NaN;
  const all = texts.map((text) => counted(text, unit));
  const sum = all.reduce((total, one, i) => total + score(one, all.toSpliced(i, 1)), 0);
  return sum / all.length;
}

function score(candidate: Counted, references: readonly Counted[]): number {
  let [smoothing, logSum, used, anyMatch] = [1, 0, 0, false];
  for (const n of orders) {
    const total = candidate.length - n + 1;
    if (total <= 0) break;
    const matches = matchesOf(candidate, references, n);
    anyMatch ||= matches > 0;
    if (matches === 0) smoothing *= 2;
    logSum += Math.log(matches === 0 ? 1 / (smoothing * total) : matches / total);
    used++;
  }
  if (!anyMatch) return 0;
  return Math.min(1, Math.exp(1 - closestLength(candidate.length, references) / candidate.length)) * Math.exp(logSum / used);
}

/** Matching n-grams, each at most as often as the reference that has it most. */
function matchesOf(candidate: Counted, references: readonly Counted[], n: number): number {
  let matches = 0;
  for (const [gram, times] of candidate.grams[n - 1]!) {
    let most = 0;
    for (const { grams } of references) most = Math.max(most, grams[n - 1]!.get(gram) ?? 0);
    matches += Math.min(times, most);
  }
  return matches;
}

/** Length of the reference whose length is nearest; the shorter one of two. */
function closestLength(length: number, references: readonly Counted[]): number {
  let best = Number.POSITIVE_INFINITY;
  for (const reference of references) {
    const [distance, bestDistance] = [Math.abs(reference.length - length), Math.abs(best - length)];
    if (distance < bestDistance || (distance === bestDistance && reference.length < best)) best = reference.length;
  }
  return best;
}
