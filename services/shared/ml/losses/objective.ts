// Dimensions: R rows (completion tokens), V vocabulary, C classes.
import { RetortError } from "../../base/errors.js";
import type { Dim, Graph, Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import type { SignalKind } from "../scoring/score.js";
import { type DivergenceName, type DivergenceOptions, divergences } from "./divergences.js";
import { type SignalInputs, signalForms } from "./signals.js";

/**
 * What one optimiser step minimises, over the completion tokens n of its sequences y:
 *
 *   Σ_y Σ_n w_yn ( α · distance_yn − (1−α) · A_y · ρ_yn · log q(y_n) )
 *
 * `distance` is a divergence between distributions, or a loss on the given token (`cross_entropy`, `opd`); w are the
 * normalisation's weights; A the advantage; ρ the clipped importance ratio, held constant.
 */
export interface Objective extends DivergenceOptions {
  readonly divergence: DivergenceName | "cross_entropy" | "opd";
  readonly signal: SignalKind;
  /** Classes of the top_k signal. */
  readonly k: number;
  readonly alpha: number;
  readonly studentTemperature: number;
  readonly klCoef: number;
  readonly ratioClip: number;
  readonly normalisation: "sequence" | "token";
}

/**
 * Checks an objective's settings against their bounds.
 *
 * @throws InvalidArgument that lists every setting out of bounds
 */
export function checkObjective(objective: Objective, vocab: number): void {
  const topK = comparesDistributions(objective) && objective.signal === "top_k";
  const bounds: readonly (readonly [keyof Objective, number, number])[] = [
    ["alpha", 0, 1],
    ["beta", 0, 1],
    ["skew", 0, 1],
    ["weight", 0, 1],
    ["studentTemperature", 1e-3, 1e3],
    ["ratioClip", 1, Number.MAX_VALUE],
    ["klCoef", 0, Number.MAX_VALUE],
    ...(topK ? [["k", 1, vocab] as const] : []),
  ];
  const problems = bounds.flatMap(([field, lowest, highest]) => {
    const value = objective[field] as number;
    if (value >= lowest && value <= highest) return [];
    return [{ fieldPath: `objective.${field}`, description: `is ${value}; it must lie in [${lowest}, ${highest}]` }];
  });
  if (problems.length > 0) throw RetortError.ofProblems("objective", problems);
}

/** Per-row inputs of the loss, all of length R. */
export interface RowInputs {
  /** int32: the completion token. */
  readonly labels: Value;
  /** float32: weight of the row in the step's mean; 0 for padding rows. */
  readonly weights: Value;
  /** float32: log-probability the sampler gave the token at temperature 1; the learner's own where `sampled` is 0. */
  readonly samplerLogprobs: Value;
  /** float32: 1 where a sampler drew the token, 0 for dataset text. */
  readonly sampled: Value;
  /** float32: advantage of the sequence. */
  readonly advantages: Value;
  /** float32: the teacher's log-probability of the token (`opd`). */
  readonly teacherLogprobs: Value;
  readonly signal: SignalInputs;
}

/** True if the objective compares distributions, so that each row needs a teacher's signal. */
export const comparesDistributions = (objective: Objective): boolean => objective.alpha > 0 && objective.divergence in divergences;

/** True if a teacher must score the sequences at all. */
export const needsTeacher = (objective: Objective): boolean =>
  comparesDistributions(objective) || (objective.alpha > 0 && objective.divergence === "opd");

/** Declares the per-row inputs in a graph. */
export function declareRows(graph: Graph, objective: Objective, rows: Dim, vocab: number): RowInputs {
  const floats = (name: string) => graph.input(name, "float32", [rows]);
  return {
    labels: graph.input("labels", "int32", [rows]),
    weights: floats("weights"),
    samplerLogprobs: floats("samplerLogprobs"),
    sampled: floats("sampled"),
    advantages: floats("advantages"),
    teacherLogprobs: floats("teacherLogprobs"),
    signal: comparesDistributions(objective) ? signalForms[objective.signal].declare(graph, rows, vocab, objective.k) : {},
  };
}

/** What the loss says about each row, [R], besides the scalar loss. */
export interface RowLosses {
  /** Weighted sum over the rows: this part's share of the step's loss. */
  readonly loss: Value;
  readonly distance_R: Value;
  /** log q of the token at temperature 1. */
  readonly logprobs_R: Value;
  /** −Σ q log q at temperature 1. */
  readonly entropy_R: Value;
}

/** The loss of rows whose student logits are given. */
export function rowLosses(objective: Objective, logits_RV: Value, rows: RowInputs): RowLosses {
  const logq_RV = op.logSoftmax(logits_RV);
  const logprobs_R = op.squeeze(op.gatherElements(logq_RV, op.unsqueeze(rows.labels, [1])), [1]);
  const frozen = op.stopGradient(logq_RV);
  const entropy_R = op.neg(op.reduceSum(op.mul(op.exp(frozen), frozen), [-1]));
  const ratio_R = importanceRatio(objective, op.stopGradient(logprobs_R), rows);
  const distance_R = distance(objective, logits_RV, logprobs_R, ratio_R, rows);
  let perRow_R = objective.alpha === 1 ? distance_R.loss : op.mul(distance_R.loss, objective.alpha);
  if (objective.alpha < 1) {
    const reinforce_R = op.mul(op.mul(rows.advantages, ratio_R), logprobs_R);
    perRow_R = op.sub(perRow_R, op.mul(reinforce_R, 1 - objective.alpha));
  }
  return { loss: op.reduceSum(op.mul(perRow_R, rows.weights)), distance_R: distance_R.report, logprobs_R, entropy_R };
}

/** ρ = min(q/q_sampler, clip) on sampled tokens, 1 on dataset text. */
function importanceRatio(objective: Objective, logprobs_R: Value, rows: RowInputs): Value {
  const difference = op.mul(op.sub(logprobs_R, rows.samplerLogprobs), rows.sampled);
  return op.exp(op.min(difference, Math.log(objective.ratioClip)));
}

/** The distance per row, as it enters the loss and as it is reported. */
function distance(
  objective: Objective,
  logits_RV: Value,
  logprobs_R: Value,
  ratio_R: Value,
  rows: RowInputs,
): { loss: Value; report: Value } {
  const { divergence, studentTemperature } = objective;
  if (divergence === "cross_entropy" || !needsTeacher(objective)) {
    const loss = op.neg(logprobs_R);
    return { loss, report: loss };
  }
  if (divergence === "opd") {
    // Policy gradient of the sampled reverse KL: A = −sg(log q − log p), loss −A ρ log q.
    const gap_R = op.sub(op.stopGradient(logprobs_R), op.max(rows.teacherLogprobs, -1e4));
    return { loss: op.mul(op.mul(op.mul(gap_R, objective.klCoef), ratio_R), logprobs_R), report: gap_R };
  }
  const scaled_RV = studentTemperature === 1 ? logits_RV : op.div(logits_RV, studentTemperature);
  const { logp_RC, logq_RC } = signalForms[objective.signal].classes(rows.signal, scaled_RV);
  const loss = divergences[divergence](logp_RC, logq_RC, objective);
  return { loss, report: loss };
}
