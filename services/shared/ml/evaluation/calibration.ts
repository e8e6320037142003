/** Bins of equal width over [0, 1]. */
const bins = 10;

/** A completion with how sure the model was of it, and whether it is right. */
export interface Answered {
  /** In [0, 1]; see {@link confidenceOf}. */
  readonly confidence: number;
  readonly right: boolean;
}

/**
 * How sure a model is of a completion of N tokens: the geometric mean of their probabilities, exp((1/N) Σ log q(y_n | x, y_<n)), in
 * [0, 1]. Length-normalised, as the probability of a whole completion falls with its length and with how many are as right.
 *
 * @param logprobs [N] natural logarithms under the model at temperature 1; at least one
 */
export const confidenceOf = (logprobs: Float32Array): number =>
  Math.min(1, Math.exp(logprobs.reduce((sum, logprob) => sum + logprob, 0) / logprobs.length));

/**
 * Expected calibration error: Σ_b (n_b / n) · |share that is right in b − mean confidence in b|, over ten bins b of equal width, in [0, 1]
 * (Naeini et al. 2015; Guo et al. 2017, arXiv 1706.04599, eq. 5). 0 where confidence says how often the model is right. undefined of
 * nothing.
 */
export function calibrationError(answers: readonly Answered[]): number | undefined {
  if (answers.length === 0) return undefined;
  const gaps = new Float64Array(bins);
  for (const { confidence, right } of answers) {
    const bin = Math.min(bins - 1, Math.floor(confidence * bins));
    gaps[bin]! += Number(right) - confidence;
  }
  // n_b cancels: it divides both means of a bin and weighs their distance.
  return gaps.reduce((sum, gap) => sum + Math.abs(gap), 0) / answers.length;
}
