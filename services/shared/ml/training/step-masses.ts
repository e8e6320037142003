import { found } from "../../base/found.js";
import { comparesRanks, type Objective } from "../losses/objective.js";
import { rowWeights, type TrainSequence } from "./batch.js";
import type { CountedTokens } from "./select-tokens.js";
import { type SpanMasses, type StudentRanks, spanMasses } from "./span-masses.js";

/** Whether a batch is compared by rank over spans of tokens. */
export const comparesSpanRanks = (batch: readonly TrainSequence[], objective: Objective): boolean =>
  comparesRanks(objective) && batch.some(({ spans }) => spans);

/** Whether some span is several of the student's tokens, so that its own ranks are needed before the step. */
export const hasMergedSpans = (batch: readonly TrainSequence[]): boolean =>
  batch.some(({ spans }) => spans?.starts.some((start, n) => start !== n));

/**
 * What the spans of each member of a step's batch are compared with, by rank. A sequence without spans has one for each token.
 *
 * @param counted the tokens at which teachers say something
 * @param students of each member, where {@link hasMergedSpans}
 */
export function stepMasses(
  batch: readonly TrainSequence[],
  objective: Objective,
  counted: CountedTokens | undefined,
  students?: readonly StudentRanks[],
): ReadonlyMap<number, SpanMasses> {
  const factor = objective.alpha * (objective.temperatureSquared ? objective.studentTemperature ** 2 : 1);
  const weights = rowWeights(batch, objective, counted);
  return new Map(
    batch.map(({ score, spans, known, completionIds }, member) => {
      const teacher = {
        topLogprobs: found(score?.topLogprobs, `the teacher's classes of sequence ${member}`),
        tail: found(score?.tail, `the rest of the teacher's classes of sequence ${member}`),
      };
      const layout = spans ?? { starts: Int32Array.from(completionIds, (_, n) => n) };
      const before = spans?.before ?? new Float32Array(completionIds.length);
      return [member, spanMasses(layout, { before, known }, weights[member]! * factor, teacher, students?.[member])];
    }),
  );
}
