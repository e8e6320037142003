import { normalQuantile, wilson } from "../../base/wilson.js";

/** Between which values a mean lies in 95 of 100 cases, and how that was reckoned. */
export interface Interval {
  readonly low: number;
  readonly high: number;
  readonly method: "wilson" | "normal";
}

/**
 * The 95 % interval of the mean of independent values, one per prompt: Wilson's score interval (Wilson 1927) where each is 0 or 1, else
 * mean ± 1.96 standard errors, which is rough for fewer than about 30 values. Undefined where that can't be said: of no value, and of one
 * that is neither 0 nor 1.
 */
export function intervalOf(values: readonly number[]): Interval | undefined {
  const n = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / n;
  if (n > 0 && values.every((value) => value === 0 || value === 1)) {
    const [low, high] = wilson(mean, n);
    return { low, high, method: "wilson" };
  }
  if (n < 2) return undefined;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const half = normalQuantile * Math.sqrt(variance / n);
  return { low: mean - half, high: mean + half, method: "normal" };
}

/** The means of the values of each group, in the order in which the groups first come: samples of one prompt aren't independent. */
export function meansByGroup(values: readonly (readonly [group: number, value: number])[]): number[] {
  const groups = new Map<number, { sum: number; count: number }>();
  for (const [group, value] of values) {
    const { sum, count } = groups.get(group) ?? { sum: 0, count: 0 };
    groups.set(group, { sum: sum + value, count: count + 1 });
  }
  return [...groups.values()].map(({ sum, count }) => sum / count);
}
