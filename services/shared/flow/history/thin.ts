import type { Series } from "./series.js";

/** A curve of few points. A point stands for the points from its own to the next: the mean, least and greatest of their values. */
export interface ThinSeries {
  readonly steps: number[];
  readonly seconds: number[];
  readonly tokens: number[];
  readonly mean: number[];
  readonly least: number[];
  readonly greatest: number[];
}

/**
 * A curve in at most so many points. Points whose value isn't finite are left out first, so a spike stays in `greatest`
 * however thin the curve is.
 *
 * @param maxPoints at least 1
 * @param afterStep only points beyond this step; 0 for all, version 0 included, which is evaluated before any step
 */
export function thin({ steps, seconds, tokens, values }: Series, maxPoints: number, afterStep = 0): ThinSeries {
  const kept: number[] = [];
  for (let i = 0; i < values.length; i++) if ((afterStep === 0 || steps[i]! > afterStep) && Number.isFinite(values[i])) kept.push(i);
  const result: ThinSeries = { steps: [], seconds: [], tokens: [], mean: [], least: [], greatest: [] };
  const width = Math.max(1, Math.ceil(kept.length / Math.max(1, maxPoints)));
  for (let begin = 0; begin < kept.length; begin += width) {
    const end = Math.min(begin + width, kept.length);
    let [sum, least, greatest] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let j = begin; j < end; j++) {
      const value = values[kept[j]!]!;
      sum += value / (end - begin);
      if (value < least) least = value;
      if (value > greatest) greatest = value;
    }
    const first = kept[begin]!;
    result.steps.push(steps[first]!);
    result.seconds.push(seconds[first]!);
    result.tokens.push(tokens[first]!);
    result.mean.push(sum);
    result.least.push(least);
    result.greatest.push(greatest);
  }
  return result;
}
