import { moved } from "../../shared/base/workers.js";
import { largeBuffersOf, type Score } from "../../shared/ml/signals/score.js";

/**
 * Scored sequences for the trainer's thread, which alone reads what their scores say of other tokens than their own: it is moved there, not
 * copied, and empty here from then on.
 */
export const movedScores = <T extends { readonly score?: Score }>(sequences: readonly T[]): readonly T[] =>
  moved([...sequences], largeBuffersOf(sequences.flatMap(({ score }) => score ?? [])));
