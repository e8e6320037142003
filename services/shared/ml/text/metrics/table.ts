import { exactMatch, normalizedMatch, numericMatch } from "./answers.js";
import { bleu, bleuCharacters } from "./bleu.js";
import { rougeL, rougeN } from "./rouge.js";

/** Measures of a completion against a reference, in [0, 1], by the name that specs use. */
export const textMetrics = {
  bleu,
  bleu_characters: bleuCharacters,
  exact_match: exactMatch,
  normalized_match: normalizedMatch,
  numeric: numericMatch,
  rouge1: (candidate: string, reference: string): number => rougeN(candidate, reference, 1),
  rouge2: (candidate: string, reference: string): number => rougeN(candidate, reference, 2),
  rouge_l: rougeL,
} as const;

/** The metrics that are 0 or 1: whether a completion is right. */
export const binaryMetrics: readonly (keyof typeof textMetrics)[] = ["exact_match", "normalized_match", "numeric"];

/** The name of a metric of texts, as evaluations and rewards write it. */
export type TextMetric = keyof typeof textMetrics;
