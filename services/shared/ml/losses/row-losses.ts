// Dimensions: R rows (completion tokens), V vocabulary, C classes.
import { RetortError } from "../../base/errors.js";
import type { Dim, Graph, Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import type { Classes, SignalInputs, SignalShape } from "../signals/form.js";
import { floored, ofLabels } from "../signals/logprobs.js";
import { signals } from "../signals/table.js";
import { divergences, reverseKl } from "./divergences.js";
import { needsTeacher, type Objective, readsSignal } from "./objective.js";
import { overlapClasses, topOverlap } from "./overlap.js";
import { isRankDistance, type RankDistanceName, rankDistances } from "./ranked.js";

/** Inputs of the loss with one element per row, of length R. */
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
  /** float32, `opd` across tokenizers: what the row answers for, log q − log p of the text that it decides; absent elsewhere. */
  readonly gaps?: Value;
  /** float32, with `gaps`: what is reported of the row. */
  readonly gapShares?: Value;
  /** float32, ranks across tokenizers: as of `SpanMasses` (training/span-masses.ts); absent elsewhere. */
  readonly teacherBefore?: Value;
  readonly studentBefore?: Value;
  readonly slopes?: Value;
}

/** All that the loss reads besides the student's logits. */
export interface LossInputs {
  readonly rows: RowInputs;
  readonly signal: SignalInputs;
  /** As of {@link SignalShape}. */
  readonly heads: SignalShape["heads"];
  readonly padded: SignalShape["padded"];
}

/** What the rows of a micro-batch have, beside what every one has. */
export interface RowForm extends Pick<SignalShape, "heads" | "padded"> {
  /** The log-ratios of `opd` are given: those of text that student and teacher wrote in other tokens. */
  readonly gaps?: boolean | undefined;
  /** Ranks are compared over spans of tokens: the rows have `SpanMasses`. */
  readonly masses?: boolean | undefined;
}

/** Declares the loss's inputs in a graph. */
export function declareRows(graph: Graph, objective: Objective, rows: Dim, vocab: number, form: RowForm = {}): LossInputs {
  const { heads, padded, gaps = false, masses = false } = form;
  const floats = (name: string) => graph.input(name, "float32", [rows]);
  return {
    rows: {
      labels: graph.input("labels", "int32", [rows]),
      weights: floats("weights"),
      samplerLogprobs: floats("samplerLogprobs"),
      sampled: floats("sampled"),
      advantages: floats("advantages"),
      teacherLogprobs: floats("teacherLogprobs"),
      ...(gaps ? { gaps: floats("gaps"), gapShares: floats("gapShares") } : {}),
      ...(masses ? { teacherBefore: floats("teacherBefore"), studentBefore: floats("studentBefore"), slopes: floats("slopes") } : {}),
    },
    signal: readsSignal(objective)
      ? signals[objective.signal].form.declare(graph, rows, { ...objective, vocab, heads, padded })
      : { perRow: {}, shared: {} },
    heads,
    padded,
  };
}

/**
 * What a loss says about each row, [R] float32, by name: `distance`, as the objective has it, in nats; `logprobs`, log q of the token at
 * temperature 1; `entropy`, −Σ q log q at temperature 1; `overlap`, as {@link topOverlap}, where the teacher's classes are at hand.
 */
export type RowReport = "distance" | "entropy" | "logprobs" | "overlap";

/** What an objective's loss reports of each row. */
export const rowReports = (objective: Objective): readonly RowReport[] => [
  "distance",
  "logprobs",
  "entropy",
  ...(readsSignal(objective) && signals[objective.signal].form.gives === "distribution" ? (["overlap"] as const) : []),
];

/** A loss, and what it says about each row besides. */
export interface RowLosses {
  /** Weighted sum over the rows: this part's share of the step's loss. */
  readonly loss: Value;
  readonly reports: Readonly<Partial<Record<RowReport, Value>>>;
}

/** The loss of rows whose student logits are given. */
export function rowLosses(objective: Objective, logits_RV: Value, inputs: LossInputs): RowLosses {
  const { rows } = inputs;
  const logq_RV = op.logSoftmax(logits_RV);
  const logprobs_R = ofLabels(logq_RV, rows.labels);
  const frozen = op.stopGradient(logq_RV);
  const entropy_R = op.neg(op.reduceSum(op.mul(op.stopGradient(op.exp(logq_RV)), frozen), [-1]));
  const ratio_R = importanceRatio(objective, op.stopGradient(logprobs_R), rows);
  const { loss: distance_R, report, logp_RC, slope } = distance(objective, logits_RV, logprobs_R, ratio_R, inputs);
  let perRow_R = objective.alpha === 1 ? distance_R : op.mul(distance_R, objective.alpha);
  if (objective.alpha < 1) {
    const reinforce_R = op.mul(op.mul(rows.advantages, ratio_R), logprobs_R);
    perRow_R = op.sub(perRow_R, op.mul(reinforce_R, 1 - objective.alpha));
  }
  const reports = {
    ...{ distance: report, logprobs: logprobs_R, entropy: entropy_R },
    ...(logp_RC && { overlap: overlapOf(objective, frozen, logp_RC, inputs) }),
  };
  const loss = op.reduceSum(op.mul(perRow_R, rows.weights));
  return { loss: slope ? op.add(loss, slope) : loss, reports };
}

function overlapOf({ signal, k }: Objective, logq_RV: Value, logp_RC: Value, inputs: LossInputs): Value {
  const { form } = signals[signal];
  if (form.gives !== "distribution") throw new RetortError("Internal", `${signal} names no classes`);
  const classes = overlapClasses(signal, k, logq_RV.shape[1] as number);
  return topOverlap(form.topIds(inputs.signal, logp_RC, classes), logq_RV, classes);
}

/** ρ = min(q/q_sampler, clip) on sampled tokens, 1 on dataset text. */
function importanceRatio(objective: Objective, logprobs_R: Value, rows: RowInputs): Value {
  const difference = op.mul(op.sub(logprobs_R, rows.samplerLogprobs), rows.sampled);
  return op.exp(op.min(difference, Math.log(objective.ratioClip)));
}

/** The distance per row, as it enters the loss and as it is reported. */
interface Distance {
  readonly loss: Value;
  readonly report: Value;
  /** The teacher's log-probabilities over the signal's classes, [R, C], where it sends a distribution. */
  readonly logp_RC?: Value | undefined;
  /** Added to the step's loss: 0, with the gradient of what was held constant. */
  readonly slope?: Value | undefined;
}

function distance(objective: Objective, logits_RV: Value, logprobs_R: Value, ratio_R: Value, inputs: LossInputs): Distance {
  const { divergence, studentTemperature, temperatureSquared } = objective;
  if (divergence === "constant_advantage") return constantAdvantage(objective, logprobs_R, ratio_R);
  if (divergence === "cross_entropy" || !needsTeacher(objective)) {
    const loss = op.neg(logprobs_R);
    return { loss, report: loss };
  }
  if (divergence === "opd") return policyGradient(objective, logits_RV, logprobs_R, ratio_R, inputs);
  const scaled_RV = studentTemperature === 1 ? logits_RV : op.div(logits_RV, studentTemperature);
  const squared = (value_R: Value) => (temperatureSquared ? op.mul(value_R, studentTemperature ** 2) : value_R);
  if (isRankDistance(divergence)) {
    const { report, ...rest } = ranksApart(divergence, objective, scaled_RV, inputs);
    return { loss: squared(report), report, ...rest };
  }
  const { form } = signals[objective.signal];
  const both = form.gives === "forwardKl" ? undefined : classes(objective, scaled_RV, inputs);
  const value_R =
    form.gives === "forwardKl"
      ? form.forwardKl(inputs.signal, scaled_RV, shapeOf(objective, scaled_RV, inputs))
      : divergences[divergence](...pair(both as Classes), objective);
  return { loss: squared(value_R), report: value_R, logp_RC: both?.logp_RC };
}

/** Both distributions by rank. A signal that can't be ranked has been refused before a graph is built. */
function ranks(objective: Objective, logits_RV: Value, inputs: LossInputs): Classes {
  const { form } = signals[objective.signal];
  if (form.gives !== "distribution" || !form.ranks) throw new RetortError("Internal", `${objective.signal} can't be ranked`);
  return form.ranks(inputs.signal, logits_RV, shapeOf(objective, logits_RV, inputs));
}

/**
 * What the values before a step say of the student's ranks: `ranks`, its log-probabilities in falling order and that of the rest, [R, K + 1];
 * `rankedLogprobs`, that of the token at the same temperature, [R].
 */
export function rankReports(objective: Objective, logits_RV: Value, inputs: LossInputs): Record<"rankedLogprobs" | "ranks", Value> {
  const { studentTemperature } = objective;
  const scaled_RV = studentTemperature === 1 ? logits_RV : op.div(logits_RV, studentTemperature);
  return {
    ranks: ranks(objective, scaled_RV, inputs).logq_RC,
    rankedLogprobs: ofLabels(op.logSoftmax(scaled_RV), inputs.rows.labels),
  };
}

/** A distance between ranks: of single tokens, or of spans of them (training/span-masses.ts). */
function ranksApart(
  name: RankDistanceName,
  objective: Objective,
  logits_RV: Value,
  inputs: LossInputs,
): Pick<Distance, "logp_RC" | "report" | "slope"> {
  const { logp_RC, logq_RC } = ranks(objective, logits_RV, inputs);
  const { labels, teacherBefore, studentBefore, slopes } = inputs.rows;
  if (!teacherBefore || !studentBefore || !slopes) return { report: rankDistances[name](logp_RC, logq_RC), logp_RC };
  const behind = (logs_RC: Value, before_R: Value) => op.add(logs_RC, op.unsqueeze(before_R, [1]));
  const logprobs_R = ofLabels(op.logSoftmax(logits_RV), labels);
  return {
    report: rankDistances[name](behind(logp_RC, teacherBefore), behind(logq_RC, studentBefore)),
    slope: op.reduceSum(op.mul(slopes, op.sub(logprobs_R, op.stopGradient(logprobs_R)))),
    logp_RC,
  };
}

/** The inputs with all products that the loss makes of them already made: see `DistributionForm.multiplied`. */
export function withProducts(objective: Objective, logits_RV: Value, inputs: LossInputs): LossInputs {
  const form = readsSignal(objective) ? signals[objective.signal].form : undefined;
  if (form?.gives !== "distribution" || !form.multiplied) return inputs;
  return { ...inputs, signal: form.multiplied(inputs.signal, shapeOf(objective, logits_RV, inputs)) };
}

const shapeOf = (objective: Objective, logits_RV: Value, { heads, padded }: LossInputs): SignalShape => ({
  ...objective,
  vocab: logits_RV.shape[1] as number,
  heads,
  padded,
});

const pair = ({ logp_RC, logq_RC }: Classes): [Value, Value] => [logp_RC, logq_RC];

/** Both distributions over the signal's classes. A signal without any has been refused before a graph is built. */
function classes(objective: Objective, logits_RV: Value, inputs: LossInputs): Classes {
  const { form } = signals[objective.signal];
  if (form.gives !== "distribution") throw new RetortError("Internal", `${objective.signal} carries no distribution`);
  return form.classes(inputs.signal, logits_RV, shapeOf(objective, logits_RV, inputs));
}

/**
 * constant_advantage: the control that asks no teacher. Every token that the student gives less than `lowProbability` has the advantage
 * −c, the others 0; the loss is c · [q < lowProbability] · ρ · log q. It makes the student surer of what it does already: what a
 * distillation gains beyond it, the teacher has taught (arXiv 2608.31046).
 */
function constantAdvantage({ klCoef, lowProbability }: Objective, logprobs_R: Value, ratio_R: Value): Distance {
  const low_R = op.cast(op.less(op.stopGradient(logprobs_R), Math.log(lowProbability)), "float32");
  const penalty_R = op.mul(low_R, klCoef);
  return { loss: op.mul(op.mul(penalty_R, ratio_R), logprobs_R), report: penalty_R };
}

/**
 * opd: policy gradient of the sampled reverse KL (Thinking Machines 2025). The advantage is A = −c (log q − log p − b),
 * held constant; the loss is −A ρ log q. b is 0, or with klBaseline the expectation of the log-ratio over the student's
 * tokens, KL(q‖p) at this prefix (Oh et al. 2026, vOPD, arXiv 2605.07865). Any b that does not look at the token leaves the
 * expected gradient as it is, so over k classes and the rest (where KL is a lower bound) it is still unbiased.
 *
 * Where teacher and student have different tokenizers, the log-ratio is given, with these weights: that of the text which the token
 * decides (training/span-gaps.ts).
 */
function policyGradient(objective: Objective, logits_RV: Value, logprobs_R: Value, ratio_R: Value, inputs: LossInputs): Distance {
  const both = readsSignal(objective) ? classes(objective, op.stopGradient(logits_RV), inputs) : undefined;
  const { labels, teacherLogprobs, gaps, gapShares } = inputs.rows;
  if (gaps && gapShares) return { loss: op.mul(op.mul(op.mul(gaps, objective.klCoef), ratio_R), logprobs_R), report: gapShares };
  const teacher_R = both && signals[objective.signal].needsHead ? ofLabels(both.logp_RC, labels) : floored(teacherLogprobs);
  const gap_R = op.sub(op.stopGradient(logprobs_R), teacher_R);
  const centred_R = both && objective.klBaseline ? op.sub(gap_R, reverseKl(both.logp_RC, both.logq_RC, objective)) : gap_R;
  const loss = op.mul(op.mul(op.mul(centred_R, objective.klCoef), ratio_R), logprobs_R);
  return { loss, report: gap_R, logp_RC: both?.logp_RC };
}
