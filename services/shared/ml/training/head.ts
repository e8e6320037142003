// Dimensions: R rows (completion tokens), D width, V vocabulary.

import { found } from "../../base/found.js";
import { gradients, gradientsOf } from "../autodiff/gradients.js";
import { sumOf } from "../autodiff/sum.js";
import { type Dim, Graph, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { float32, int64 } from "../graph/tensor.js";
import type { Objective } from "../losses/objective.js";
import { type LossInputs, type RowInputs, rankReports, rowLosses, withProducts } from "../losses/row-losses.js";

/** The vocabulary part of a step: its loss, what it reports per row, and its gradients, already computed. */
export interface HeadResult {
  readonly loss: Value;
  /** [R], or [R, …], by name. */
  readonly reports: Readonly<Record<string, Value>>;
  /** Undefined where nothing is trained. */
  readonly hiddenGradient_RD: Value | undefined;
  /** Undefined for a head that is not trained. */
  readonly headGradient_VD: Value | undefined;
}

/** What is minimised, and how hidden states [R, D] and a head [V, D], maybe of half precision, make logits [R, V]. */
export interface HeadForm {
  readonly objective: Objective;
  readonly logits: (hidden_RD: Value, head_VD: Value) => Value;
  /** Which gradients are wanted: the hidden states' and the head's, theirs alone, or none. */
  readonly trained: "head" | "body" | "nothing";
  /** float32 []: what gradients are multiplied with; absent: they aren't. */
  readonly lossScale?: Value | undefined;
  /** Whether the student's ranks are reported: see `rankReports`. */
  readonly ranks?: boolean | undefined;
  /** What is done between the products goes by so many rows at a time: see {@link slicedHead}. Absent: by all. */
  readonly sliceRows?: number | undefined;
}

/** Loss and gradients of all rows at once, by slices where the form says so. */
export const wholeHead = (form: HeadForm, hidden_RD: Value, head_VD: Value, inputs: LossInputs): HeadResult =>
  form.sliceRows
    ? slicedHead({ ...form, sliceRows: form.sliceRows }, hidden_RD, head_VD, inputs)
    : plainHead(form, hidden_RD, head_VD, inputs);

/** Holds several [R, V] arrays. */
function plainHead(
  { objective, logits, trained, lossScale, ranks }: HeadForm,
  hidden_RD: Value,
  head_VD: Value,
  inputs: LossInputs,
): HeadResult {
  // Cut off from the body: a tied head is also the embedding, whose share of the gradient the body's backward gives.
  const input_RD = op.stopGradient(hidden_RD);
  const logits_RV = logits(input_RD, head_VD);
  const { loss, reports } = lossesOf(objective, ranks, logits_RV, inputs);
  const wrt = wanted(trained, input_RD, head_VD);
  const [hiddenGradient_RD, gradient_VD] = wrt.length > 0 ? gradientsOf(loss, wrt, lossScale) : [];
  // Of a head in half precision, so is its gradient.
  return { loss, reports, hiddenGradient_RD, headGradient_VD: gradient_VD && op.cast(gradient_VD, "float32") };
}

/** The loss of rows whose logits are given, and all that is reported of them. */
function lossesOf(objective: Objective, ranks: boolean | undefined, logits_RV: Value, inputs: LossInputs) {
  const { loss, reports } = rowLosses(objective, logits_RV, inputs);
  return { loss, reports: ranks ? { ...reports, ...rankReports(objective, logits_RV, inputs) } : reports };
}

const wanted = (trained: HeadForm["trained"], hidden_RD: Value, head_VD: Value): readonly Value[] =>
  trained === "nothing" ? [] : trained === "body" ? [hidden_RD] : [hidden_RD, head_VD];

/**
 * The same with the products of all rows at once, and all that lies between the logits and their gradient in a Scan over slices: two
 * [R, V] arrays, and a dozen that stay in a core's cache. The number of rows must be a multiple of `sliceRows`.
 */
function slicedHead(
  { objective, logits, trained, lossScale, ranks, sliceRows }: HeadForm & { readonly sliceRows: number },
  hidden_RD: Value,
  head_VD: Value,
  given: LossInputs,
): HeadResult {
  const { graph } = hidden_RD;
  const input_RD = op.stopGradient(hidden_RD);
  const logits_RV = logits(input_RD, head_VD);
  const { rows, signal, heads, padded } = withProducts(objective, logits_RV, given);
  const body = new Graph("slice", graph);
  const sequences: Value[] = [];
  const ofSlice = (x: Value, name: string): Value => {
    sequences.push(regrouped(x, ["slices", sliceRows], 1));
    return body.input(`slice.${name}`, x.dtype, [sliceRows, ...x.shape.slice(1)]);
  };
  const sliced = <T extends Readonly<Record<string, Value | undefined>>>(record: T): T =>
    Object.fromEntries(Object.entries(record).map(([name, value]) => [name, value && ofSlice(value, name)])) as unknown as T;
  const own = ofSlice(logits_RV, "logits");
  const inputs = { rows: sliced({ ...rows }), signal: { ...signal, perRow: sliced(signal.perRow) }, heads, padded };
  const { loss, reports } = lossesOf(objective, ranks, own, inputs);
  const wrt = wanted(trained, input_RD, head_VD);
  const [gradient] = wrt.length > 0 ? gradientsOf(loss, [own], lossScale) : [];
  const results = { ...reports, loss, ...(gradient && { gradient }) };
  for (const [name, value] of Object.entries(results)) body.output(`sliced.${name}`, value);
  const made = new Map(op.scan(graph, body, sequences).map((value, i) => [Object.keys(results)[i], value]));
  const whole = (name: string) => regrouped(found(made.get(name), name), [hidden_RD.shape[0]!], 2);
  const seed = gradient && op.withShape(whole("gradient"), logits_RV.shape);
  const [hiddenGradient_RD, gradient_VD] = seed ? gradients([{ value: logits_RV, seed }], wrt) : [];
  return {
    loss: op.reduceSum(found(made.get("loss"), "loss")),
    reports: Object.fromEntries(Object.keys(reports).map((name) => [name, whole(name)])),
    hiddenGradient_RD,
    headGradient_VD: gradient_VD && op.cast(gradient_VD, "float32"),
  };
}

/** A value whose first `count` axes become others, of which the first is what the elements give. */
function regrouped(x: Value, [first, ...others]: [Dim, ...number[]], count: number): Value {
  const rest = x.shape.slice(count);
  const leading = x.graph.constant(int64([-1, ...others]));
  const target = rest.length > 0 ? op.concat([leading, ...rest.map((_, i) => op.dimOf(x, count + i))], 0) : leading;
  return op.reshape(x, [first, ...others, ...rest], target);
}

/**
 * The same in a Loop over blocks of `block` rows (int64 []), each differentiated inside its iteration, so that memory holds
 * arrays of [block, V] only. The number of rows must be a multiple of `block`; rows of weight 0 fill up.
 */
export function blockedHead(form: HeadForm, hidden_RD: Value, head_VD: Value, inputs: LossInputs, block: Value): HeadResult {
  const { graph } = hidden_RD;
  const step = op.unsqueeze(block, [0]);
  const body = new Graph("head", graph);
  const iteration = body.input("head.iteration", "int64", []);
  body.input("head.condition", "bool", []);
  const lossSoFar = body.input("head.loss", "float32", []);
  const start = op.mul(op.unsqueeze(iteration, [0]), step);
  const end = op.add(start, step);
  const cut = (x: Value) => op.slice(x, 0, start, end, "block");
  const { rows, signal } = inputs;
  const blockInputs = {
    rows: mapValues({ ...rows }, cut) as unknown as RowInputs,
    signal: { perRow: mapValues(signal.perRow, cut), shared: signal.shared },
    heads: inputs.heads,
    padded: inputs.padded,
  };
  const part = wholeHead(form, cut(hidden_RD), head_VD, blockInputs);
  body.output("head.continue", body.constant({ dtype: "bool", dims: [], data: Uint8Array.of(1) }));
  body.output("head.lossOut", op.add(lossSoFar, part.loss));
  const gradient = part.headGradient_VD;
  const soFar = () => op.withShape(body.input("head.gradient", "float32", ["rows", "columns"]), gradient!.shape);
  if (gradient) body.output("head.gradientOut", sumOf([soFar(), gradient]));
  const reports = Object.entries(part.reports);
  const hiddenGradient = part.hiddenGradient_RD;
  const results = [...reports, ...(hiddenGradient ? [["hiddenGradient", hiddenGradient] as const] : [])];
  for (const [name, value] of results) body.output(`head.${name}`, value);
  const blocks = op.div(op.squeeze(op.dimOf(hidden_RD, 0), [0]), block);
  const stacked = ["blocks", "block"];
  const stackedRows = [...reports.map(([, value]) => value), ...(hiddenGradient ? [hidden_RD] : [])].map(({ shape }) => [
    ...stacked,
    ...shape.slice(1),
  ]);
  const types = stackedRows.map((shape) => ({ dtype: "float32" as const, shape }));
  // One zero is added to the first block's gradient: a [V, D] array of them would lie there until the loop's end.
  const zero = graph.constant(float32([0], [1, 1]));
  const before = [graph.scalar(0), ...(gradient ? [zero] : [])];
  const { state, scanned } = op.loop(graph, body, blocks, undefined, before, types);
  const rowsOf = (blocked: Value, like: Value) => op.reshape(blocked, [hidden_RD.shape[0]!, ...like.shape.slice(1)]);
  const unblocked = Object.fromEntries(reports.map(([name, value], i) => [name, rowsOf(scanned[i]!, value)]));
  const hiddenGradient_RD = hiddenGradient && op.reshape(scanned[reports.length]!, hidden_RD.shape);
  const headGradient_VD = gradient && op.withShape(state[1]!, gradient.shape);
  return { loss: state[0]!, reports: unblocked, headGradient_VD, hiddenGradient_RD };
}

const mapValues = <T>(record: Readonly<Record<string, T>>, map: (value: T) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
