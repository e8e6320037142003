/**
 * pass@k of one prompt: the probability that at least one of k completions, drawn without replacement from the n that
 * were sampled, passes: 1 − C(n−c, k)/C(n, k), the unbiased estimator of Chen et al. 2021 (arXiv 2107.03374, eq. 1).
 *
 * @param n samples of the prompt
 * @param c how many of them pass
 * @param k 1..n; NaN outside
 */
export function passAtK(n: number, c: number, k: number): number {
  if (!(k >= 1 && k <= n)) return Number.NaN;
  if (n - c < k) return 1;
  // The quotient of the binomials as a product: C(n, k) itself overflows.
  let allFail = 1;
  for (let i = n - c + 1; i <= n; i++) allFail *= 1 - k / i;
  return 1 - allFail;
}
