/** The 97.5 % quantile of the standard normal distribution. */
export const normalQuantile = 1.959963984540054;

/**
 * The 95 % interval of a share (Wilson 1927, the score interval): [0, 1] of no trial.
 *
 * @param share of the trials that succeeded, in [0, 1]
 * @param count of trials
 */
export function wilson(share: number, count: number): readonly [low: number, high: number] {
  if (count === 0) return [0, 1];
  const squared = normalQuantile ** 2;
  const scale = 1 + squared / count;
  const centre = (share + squared / (2 * count)) / scale;
  const half = (normalQuantile / scale) * Math.sqrt((share * (1 - share)) / count + squared / (4 * count ** 2));
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}
