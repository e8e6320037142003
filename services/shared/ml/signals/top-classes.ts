// Dimensions: R rows (completion tokens), V vocabulary, K top classes, C = K + 1 with the tail last.
import type { Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { float32, int32, type Tensor } from "../graph/tensor.js";
import { cutRows, logprobsOf } from "./answer-rows.js";
import { checkClasses, checkLength, checkLogprobs, checkMass } from "./checks.js";
import { type Classes, type DistributionForm, inputOf, perRow, type SignalInputs, type SignalShape } from "./form.js";
import { largestIds } from "./largest.js";
import { floored, logFloor } from "./logprobs.js";
import type { Answer, AnswerRows, SignalLayout } from "./signal.js";

/** Stands for the log-probability of a class that is left out of a sum. */
const removed = -3e38;

/**
 * Log of the mass outside the chosen classes, [R]; meaningless if there is none outside. As a logsumexp of its own:
 * 1 − Σ exp would cancel to nothing, and Σ exp could underflow.
 *
 * @param left_RK what stays of the chosen ones. Default: nothing
 */
export function tailOf(logp_RV: Value, ids_RK: Value, left_RK: Value = op.constantLike(ids_RK, removed)): Value {
  const rest_RV = op.scatterElements(logp_RV, ids_RK, left_RK);
  const largest_R1 = op.stopGradient(op.reduceMax(rest_RV, [1], true));
  const mass_R1 = op.reduceSum(op.exp(op.sub(rest_RV, largest_R1)), [1], true);
  return op.squeeze(op.add(op.log(mass_R1), largest_R1), [1]);
}

/** What a score says of k classes, whether teacher or student chose them: of the given token, of each class, and of the rest. */
export function topAnswer(rows: AnswerRows): Pick<Answer, "logprobs" | "topLogprobs" | "tail"> {
  const { from, to, k, vocab } = rows;
  const tail = k === vocab ? new Float32Array(to - from).fill(Number.NEGATIVE_INFINITY) : cutRows(rows, "tail", Float32Array);
  return { logprobs: logprobsOf(rows), topLogprobs: cutRows(rows, "top", Float32Array, k), tail };
}

/**
 * k classes and one more for the rest: C = k + 1. A sum over the k alone would not be a divergence (it can fall below 0,
 * and a reverse KL could be minimised by emptying them). No matter who chose the classes, teacher (`top_k`) or student
 * (`student_top_k`), the arithmetic is the same.
 */
export const topForm: DistributionForm = {
  gives: "distribution",
  declare: (graph, rows, { k }) =>
    perRow({
      ids: graph.input("signal.ids", "int32", [rows, k]),
      top: graph.input("signal.top", "float32", [rows, k]),
      tail: graph.input("signal.tail", "float32", [rows]),
    }),
  classes: (signal, logits_RV, { k, padded }) => {
    const [ids_RK, top_RK] = [inputOf(signal, "ids"), inputOf(signal, "top")];
    const logp_RC = floored(op.concat([top_RK, op.unsqueeze(inputOf(signal, "tail"), [1])], 1));
    const logq_RV = op.logSoftmax(logits_RV);
    const chosen_RK = op.gatherElements(logq_RV, ids_RK);
    const said_RK = padded && op.greater(top_RK, logFloor);
    // Of a class of which nothing is said, both have as good as nothing.
    const own_RK = said_RK ? op.where(said_RK, chosen_RK, logFloor) : chosen_RK;
    const tail_R = tailOf(logq_RV, ids_RK, said_RK ? op.where(said_RK, removed, chosen_RK) : undefined);
    const logq_RC = op.concat([own_RK, floored(op.unsqueeze(tail_R, [1]))], 1);
    return { logp_RC, logq_RC: op.withShape(logq_RC, [logits_RV.shape[0]!, k + 1]) };
  },
  topIds: (signal, _, k) => {
    const [, order_RK] = op.topK(inputOf(signal, "top"), k);
    return op.cast(op.gatherElements(inputOf(signal, "ids"), order_RK), "int64");
  },
};

/** The k classes that each finds most probable itself, in falling order, and the rest. Which classes the teacher's are doesn't matter. */
export function topRanks(signal: SignalInputs, logits_RV: Value, shape: SignalShape): Classes {
  const [top_RK] = op.topK(inputOf(signal, "top"), shape.k);
  const own = { ...signal.perRow, ids: largestIds(op.stopGradient(logits_RV), shape.k), top: top_RK };
  return topForm.classes(perRow(own), logits_RV, { ...shape, padded: false });
}

/** The inputs of {@link topForm}; rows that fill up hold the first k classes. */
export function topLayout({ rows, vocab, k, parts }: SignalLayout): Record<string, Tensor> {
  const ids = Int32Array.from({ length: rows * k }, (_, i) => i % k);
  const top = new Float32Array(rows * k);
  const tail = new Float32Array(rows);
  for (const { score, member, row, count } of parts) {
    const ownIds = checkLength(score.ids, count * k, member, "ids");
    checkClasses(ownIds, k, vocab, `sequence ${member}: score.ids`);
    const ownTop = checkLength(score.topLogprobs, count * k, member, "topLogprobs");
    const ownTail = checkLogprobs(checkLength(score.tail, count, member, "tail"), member, "score.tail");
    checkMass(ownTop, count, ownTail, member, "topLogprobs");
    ids.set(ownIds, row * k);
    top.set(ownTop, row * k);
    tail.set(ownTail, row);
  }
  return { "signal.ids": int32(ids, [rows, k]), "signal.top": float32(top, [rows, k]), "signal.tail": float32(tail, [rows]) };
}
