/**
 * Exponential moving average, corrected for its beginning as Adam's moments are: s_t = Σ w^(t−i) y_i / Σ w^(t−i).
 *
 * @param values NaN is left out, and stays NaN
 * @param weight of what went before, in [0, 1); 0 changes nothing
 */
export function smooth(values: readonly number[], weight: number): number[] {
  let [sum, weights] = [0, 0];
  return values.map((value) => {
    if (!Number.isFinite(value)) return Number.NaN;
    sum = weight * sum + value;
    weights = weight * weights + 1;
    return sum / weights;
  });
}

/** Seconds until a run's last step, by its pace over the newest points; undefined before there is one. */
export function secondsLeft(steps: readonly number[], seconds: readonly number[], totalSteps: number): number | undefined {
  const last = steps.length - 1;
  const first = Math.max(0, last - 20);
  const done = (steps[last] ?? 0) - (steps[first] ?? 0);
  if (done <= 0) return undefined;
  return (((seconds[last] ?? 0) - (seconds[first] ?? 0)) / done) * Math.max(0, totalSteps - (steps[last] ?? 0));
}
