// Dimensions: R rows (completion tokens), V vocabulary, K top classes, C classes (V, or K + 1 with the tail last), U drawn
// classes, E width of the teacher's hidden states.
import type { Dim, Graph, Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import type { HiddenDtype, SignalKind } from "../signals/score.js";
import { logFloor } from "./divergences.js";

/** What a graph is fed of one teacher signal. */
export interface SignalInputs {
  /** By name; the first axis is the rows'. */
  readonly perRow: Readonly<Record<string, Value>>;
  /** What all rows share, by name. */
  readonly shared: Readonly<Record<string, Value>>;
}

/** What decides the shapes of a signal's inputs. */
export interface SignalShape {
  readonly vocab: number;
  /** Classes of `top_k` and `student_top_k`, draws of `random_k`. */
  readonly k: number;
  readonly hiddenDtype: HiddenDtype;
  /** Divides the teacher's logits where the learner makes them from hidden states. */
  readonly teacherTemperature: number;
}

/** Log-probabilities of teacher and student over the same classes, [R, C]. */
export interface Classes {
  readonly logp_RC: Value;
  readonly logq_RC: Value;
}

interface SignalForm {
  /** Declares the graph inputs that carry the signal. */
  declare(graph: Graph, rows: Dim, shape: SignalShape): SignalInputs;
}

/** A signal that becomes two distributions over the same classes. */
export interface DistributionForm extends SignalForm {
  /** From the student's logits [R, V], divided by its temperature. */
  classes(signal: SignalInputs, logits_RV: Value, shape: SignalShape): Classes;
}

/** A signal that gives an estimate of the forward KL, [R] in nats. */
export interface EstimateForm extends SignalForm {
  /** From the student's logits [R, V], divided by its temperature. */
  forwardKl(signal: SignalInputs, logits_RV: Value, shape: SignalShape): Value;
}

const floored = (logp: Value): Value => op.max(logp, logFloor);
const perRow = (inputs: SignalInputs["perRow"]): SignalInputs => ({ perRow: inputs, shared: {} });

/** The whole distribution: C = V. */
const full: DistributionForm = {
  declare: (graph, rows, { vocab }) => perRow({ full: graph.input("signal.full", "float32", [rows, vocab]) }),
  classes: (signal, logits_RV) => ({ logp_RC: floored(signal.perRow.full!), logq_RC: op.logSoftmax(logits_RV) }),
};

/** The teacher's last hidden states, from which its head makes the whole distribution here: C = V. */
const hidden: DistributionForm = {
  declare: (graph, rows, { vocab, hiddenDtype }) => ({
    perRow: { hidden: graph.input("signal.hidden", hiddenDtype, [rows, "E"]) },
    shared: { head: graph.input("signal.head", "float32", [vocab, "E"]) },
  }),
  classes: ({ perRow, shared }, logits_RV, { teacherTemperature }) => {
    const alpha = 1 / teacherTemperature;
    const teacher_RV = op.fusedMatMul(op.cast(perRow.hidden!, "float32"), shared.head!, { transB: true, alpha });
    return { logp_RC: floored(op.logSoftmax(teacher_RV)), logq_RC: op.logSoftmax(logits_RV) };
  },
};

/**
 * k classes and one more for the rest: C = k + 1. A sum over the k alone would not be a divergence (it can fall below 0,
 * and a reverse KL could be minimised by emptying them). Whoever chose the classes, teacher (`top_k`) or student
 * (`student_top_k`), the arithmetic is the same.
 */
const topK: DistributionForm = {
  declare: (graph, rows, { k }) =>
    perRow({
      ids: graph.input("signal.ids", "int32", [rows, k]),
      top: graph.input("signal.top", "float32", [rows, k]),
      tail: graph.input("signal.tail", "float32", [rows]),
    }),
  classes: ({ perRow: { ids, top, tail } }, logits_RV, { k }) => {
    const logp_RC = floored(op.concat([top!, op.unsqueeze(tail!, [1])], 1));
    const total_R1 = op.reduceLogSumExp(logits_RV);
    const chosen_RK = op.sub(op.gatherElements(logits_RV, ids!), total_R1);
    // The rest as a log-sum-exp of its own: 1 − Σ exp would cancel to nothing for a confident student.
    const rest_RV = op.scatterElements(logits_RV, ids!, op.constantLike(ids!, logFloor * 10));
    const tail_R1 = op.sub(op.reduceLogSumExp(rest_RV), total_R1);
    return { logp_RC, logq_RC: op.withShape(op.concat([chosen_RK, floored(tail_R1)], 1), [logits_RV.shape[0]!, k + 1]) };
  },
};

/**
 * Counts c of k draws from the teacher (Anshumann et al. 2025, arXiv 2503.16870, with the teacher itself as proposal):
 * −Σ (c/k) log q − H(p). Its expectation over the draws is KL(p‖q), that of its gradient q − c/k is q − p; one estimate
 * may be below 0.
 */
const randomK: EstimateForm = {
  declare: (graph, rows) =>
    perRow({
      ids: graph.input("signal.ids", "int32", [rows, "U"]),
      counts: graph.input("signal.counts", "float32", [rows, "U"]),
      entropy: graph.input("signal.entropy", "float32", [rows]),
    }),
  forwardKl: ({ perRow: { ids, counts, entropy } }, logits_RV, { k }) => {
    const logq_RU = op.sub(op.gatherElements(logits_RV, ids!), op.reduceLogSumExp(logits_RV));
    const crossEntropy_R = op.reduceSum(op.mul(op.div(counts!, -k), logq_RU), [-1]);
    return op.sub(crossEntropy_R, entropy!);
  },
};

/** Says nothing but the given token's log-probability, which every row has an input for. */
const sampled: SignalForm = { declare: () => perRow({}) };

/** How each kind of teacher signal enters a loss. */
export const signalForms = {
  full,
  hidden,
  random_k: randomK,
  sampled,
  student_top_k: topK,
  top_k: topK,
} as const satisfies { readonly [Kind in SignalKind]: SignalForm };
