// Dimensions: R rows (completion tokens), V vocabulary, K top classes.
import type { Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { largestIds } from "../signals/largest.js";
import { type SignalKind, signals } from "../signals/table.js";

/** Classes of either model that are compared, where there are so many. */
const mostClasses = 16;

/** Shares of the vocabulary and of the student's choice that are compared: more of them would be the same ones by chance. */
const part = 4;

/**
 * How many of the most probable classes the overlap is over: 16, at most a quarter of the vocabulary, and at most the teacher's k, or a
 * quarter of the k where the student chose the classes; at least 1.
 */
export function overlapClasses(signal: SignalKind, k: number, vocab: number): number {
  const { largestK, studentChooses } = signals[signal];
  const known = largestK === undefined ? vocab : studentChooses ? k / part : k;
  return Math.max(1, Math.floor(Math.min(mostClasses, vocab / part, known)));
}

/**
 * The share of the teacher's K most probable classes that are among the student's K most probable ones, [R] in [0, 1], at the same
 * prefix (arXiv 2604.13016). Temperatures do not change it.
 *
 * @param teacher_RK int64 ids, all different in a row
 * @param scores_RV the student's logits or log-probabilities
 */
export function topOverlap(teacher_RK: Value, scores_RV: Value, k: number): Value {
  const student_RK = largestIds(op.stopGradient(scores_RV), k);
  const same_RKK = op.cast(op.equal(op.unsqueeze(teacher_RK, [2]), op.unsqueeze(student_RK, [1])), "float32");
  return op.div(op.reduceSum(same_RKK, [1, 2]), k);
}
