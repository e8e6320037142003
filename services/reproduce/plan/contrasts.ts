import type { Contrast } from "./experiment.js";

/** `better` has more of a measure than `worse`. */
export const more = (better: string, worse: string, measure: string): Contrast => ({
  says: `${better} > ${worse}`,
  measure,
  value: (reading) => reading(better, measure) - reading(worse, measure),
});

/** `better` has less of a measure than `worse`. */
export const less = (better: string, worse: string, measure: string): Contrast => ({
  says: `${better} < ${worse}`,
  measure,
  value: (reading) => reading(worse, measure) - reading(better, measure),
});

/** Every arm with every later one; neighbours among those that were run count, and the first with the last. */
function chain(arms: readonly string[], compare: (first: string, second: string) => Contrast): Contrast[] {
  return arms.flatMap((first, i) =>
    arms.slice(i + 1).map((second, gap) => {
      const ends = i === 0 && gap === arms.length - 2;
      const between = arms.slice(i + 1, i + 1 + gap);
      return { ...compare(first, second), ...(ends || gap === 0 ? {} : { between }) };
    }),
  );
}

/** Each arm has more of a measure than the one after it, and the first more than the last. */
export const descending = (arms: readonly string[], measure: string): Contrast[] => chain(arms, (a, b) => more(a, b, measure));

/** Each arm has less of a measure than the one after it, and the first less than the last. */
export const ascending = (arms: readonly string[], measure: string): Contrast[] => chain(arms, (a, b) => less(a, b, measure));

/** Over the arms that were run, if at least two were. */
function spread(values: readonly number[]): number {
  const measured = values.filter((value) => !Number.isNaN(value));
  return measured.length < 2 ? Number.NaN : Math.max(...measured) - Math.min(...measured);
}

/** A measure differs more over `wide` than over `narrow`. */
export const wider = (
  says: string,
  [wide, wideMeasure]: readonly [readonly string[], string],
  [narrow, narrowMeasure]: readonly [readonly string[], string],
): Contrast => ({
  says,
  measure: wideMeasure,
  value: (reading) => spread(wide.map((arm) => reading(arm, wideMeasure))) - spread(narrow.map((arm) => reading(arm, narrowMeasure))),
});
