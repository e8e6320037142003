/** A mean over seeds with its standard error; NaN for the error of a single value. */
export interface Estimate {
  readonly mean: number;
  readonly standardError: number;
  readonly count: number;
}

/** Mean and standard error of the mean (sample standard deviation / √n). Values that are not numbers are left out. */
export function estimate(values: readonly number[]): Estimate {
  const list = values.filter((value) => !Number.isNaN(value));
  const count = list.length;
  const mean = list.reduce((a, b) => a + b, 0) / count;
  const squares = list.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, standardError: count > 1 ? Math.sqrt(squares / (count - 1) / count) : Number.NaN, count };
}

/** One-sided 95 % quantiles of Student's t for 1, 2, … degrees of freedom; beyond, the normal one is near enough. */
const quantiles = [6.314, 2.92, 2.353, 2.132, 2.015, 1.943, 1.895, 1.86, 1.833, 1.812];

/** What the seeds say of a contrast that should be positive. */
export type Verdict = "shown" | "leans" | "absent" | "reversed" | "unmeasured";

/**
 * The verdict on a contrast from its value at each seed: `shown` if it is positive at the one-sided 95 % level of a paired
 * t-test, `reversed` if negative at that level, else `leans` (positive, within the noise) or `absent`. One seed alone can
 * only lean.
 */
export function verdictOf({ mean, standardError, count }: Estimate): Verdict {
  if (count === 0 || Number.isNaN(mean)) return "unmeasured";
  if (count > 1) {
    const bound = (quantiles[count - 2] ?? 1.645) * standardError;
    if (mean > bound) return "shown";
    if (mean < -bound) return "reversed";
  }
  return mean > 0 ? "leans" : "absent";
}

/** The verdict on an ordering from those on its contrasts; `mixed` if some of them are shown and others reversed. */
export function overall(verdicts: readonly Verdict[]): "shown" | "partly shown" | "mixed" | "not shown" | "reversed" {
  const has = (verdict: Verdict) => verdicts.includes(verdict);
  if (verdicts.length > 0 && verdicts.every((verdict) => verdict === "shown")) return "shown";
  if (has("reversed")) return has("shown") ? "mixed" : "reversed";
  return has("shown") || has("leans") ? "partly shown" : "not shown";
}
