import { exactMatch, numericMatch } from "./answers.js";
import { bleu } from "./bleu.js";
import { rougeL, rougeN } from "./rouge.js";

/** Measures of a completion against a reference, in [0, 1]. */
export const textMetrics = {
  bleu,
  exact_match: exactMatch,
  numeric: numericMatch,
  rouge1: (candidate: string, reference: string): number => rougeN(candidate, reference, 1),
  rouge2: (candidate: string, reference: string): number => rougeN(candidate, reference, 2),
  rouge_l: rougeL,
} as const;

export type TextMetric = keyof typeof textMetrics;
