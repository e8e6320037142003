import type { Contrast } from "./experiment.js";

/** `better` has more of a measure than `worse`. */
export const more = (better: string, worse: string, measure: string): Contrast => ({
  says: `${better} > ${worse}`,
  value: (reading) => reading(better, measure) - reading(worse, measure),
});

/** `better` has less of a measure than `worse`. */
export const less = (better: string, worse: string, measure: string): Contrast => ({
  says: `${better} < ${worse}`,
  value: (reading) => reading(worse, measure) - reading(better, measure),
});

/** Each arm has more of a measure than the one after it, and the first more than the last. */
export function descending(arms: readonly string[], measure: string): Contrast[] {
  const pairs = arms.slice(1).map((arm, i) => more(arms[i]!, arm, measure));
  return arms.length > 2 ? [...pairs, more(arms[0]!, arms.at(-1)!, measure)] : pairs;
}

/** Each arm has less of a measure than the one after it, and the first less than the last. */
export function ascending(arms: readonly string[], measure: string): Contrast[] {
  const pairs = arms.slice(1).map((arm, i) => less(arms[i]!, arm, measure));
  return arms.length > 2 ? [...pairs, less(arms[0]!, arms.at(-1)!, measure)] : pairs;
}

const spread = (values: readonly number[]): number => Math.max(...values) - Math.min(...values);

/** A measure differs more over `wide` than over `narrow`. */
export const wider = (
  says: string,
  [wide, wideMeasure]: readonly [readonly string[], string],
  [narrow, narrowMeasure]: readonly [readonly string[], string],
): Contrast => ({
  says,
  value: (reading) => spread(wide.map((arm) => reading(arm, wideMeasure))) - spread(narrow.map((arm) => reading(arm, narrowMeasure))),
});
