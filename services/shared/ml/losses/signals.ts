// Dimensions: R rows (completion tokens), V vocabulary, K top classes, C classes (V, or K + 1 with the tail last).
import type { Dim, Graph, Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import type { SignalKind } from "../scoring/score.js";
import { logFloor } from "./divergences.js";

/** What a graph is fed of one teacher signal; each value's first axis is the rows'. */
export type SignalInputs = Readonly<Record<string, Value>>;

/** How one kind of teacher signal becomes two distributions over the same classes. */
export interface SignalForm {
  /** Declares the graph inputs that carry the signal. */
  declare(graph: Graph, rows: Dim, vocab: number, k: number): SignalInputs;
  /** Log-probabilities of teacher and student over the signal's classes, from the student's scaled logits [R, V]. */
  classes(signal: SignalInputs, logits_RV: Value): { readonly logp_RC: Value; readonly logq_RC: Value };
}

const floored = (logp: Value): Value => op.max(logp, logFloor);

/** The whole distribution: C = V. */
const full: SignalForm = {
  declare: (graph, rows, vocab) => ({ full: graph.input("signal.full", "float32", [rows, vocab]) }),
  classes: ({ full }, logits_RV) => ({ logp_RC: floored(full!), logq_RC: op.logSoftmax(logits_RV) }),
};

/**
 * The teacher's k most probable classes and one more for the rest: C = k + 1. A sum over the top k alone would not be a
 * divergence (it can fall below 0, and a reverse KL could be minimised by emptying the top k).
 */
const topK: SignalForm = {
  declare: (graph, rows, _vocab, k) => ({
    ids: graph.input("signal.ids", "int32", [rows, k]),
    top: graph.input("signal.top", "float32", [rows, k]),
    tail: graph.input("signal.tail", "float32", [rows]),
  }),
  classes: ({ ids, top, tail }, logits_RV) => {
    const k = ids!.shape[1] as number;
    const logp_RC = floored(op.concat([top!, op.unsqueeze(tail!, [1])], 1));
    const total_R1 = op.reduceLogSumExp(logits_RV);
    const chosen_RK = op.sub(op.gatherElements(logits_RV, ids!), total_R1);
    // The rest as a log-sum-exp of its own: 1 − Σ exp would cancel to nothing for a confident student.
    const rest_RV = op.scatterElements(logits_RV, ids!, op.constantLike(ids!, logFloor * 10));
    const tail_R1 = op.sub(op.reduceLogSumExp(rest_RV), total_R1);
    return { logp_RC, logq_RC: op.withShape(op.concat([chosen_RK, floored(tail_R1)], 1), [logits_RV.shape[0]!, k + 1]) };
  },
};

/** Every kind of teacher signal that carries a distribution. */
export const signalForms: { readonly [Kind in SignalKind]: SignalForm } = { full, top_k: topK };
