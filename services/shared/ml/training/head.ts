// Dimensions: R rows (completion tokens), D width, V vocabulary.
import { gradientsOf } from "../autodiff/gradients.js";
import { sumOf } from "../autodiff/sum.js";
import { Graph, type Shape, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { int64 } from "../graph/tensor.js";
import type { Objective } from "../losses/objective.js";
import { type LossInputs, type RowInputs, rowLosses } from "../losses/row-losses.js";

/** The vocabulary part of a step: its loss, what it reports per row, and its gradients, already computed. */
export interface HeadResult {
  readonly loss: Value;
  readonly distance_R: Value;
  readonly logprobs_R: Value;
  readonly entropy_R: Value;
  readonly hiddenGradient_RD: Value;
  /** Undefined for a head that is not trained. */
  readonly headGradient_VD: Value | undefined;
}

/** What is minimised, and how hidden states [R, D] and a head [V, D] make logits [R, V]. */
export interface HeadForm {
  readonly objective: Objective;
  readonly logits: (hidden_RD: Value, head_VD: Value) => Value;
  /** Whether the head's own gradient is wanted. */
  readonly trained: boolean;
}

/** Loss and gradients of all rows at once: holds several [R, V] arrays. */
export function plainHead({ objective, logits, trained }: HeadForm, hidden_RD: Value, head_VD: Value, inputs: LossInputs): HeadResult {
  // Cut off from the body: a tied head is also the embedding, whose share of the gradient the body's backward gives.
  const input_RD = op.stopGradient(hidden_RD);
  const logits_RV = logits(input_RD, head_VD);
  const { loss, distance_R, logprobs_R, entropy_R } = rowLosses(objective, logits_RV, inputs);
  const [hiddenGradient_RD, headGradient_VD] = gradientsOf(loss, trained ? [input_RD, head_VD] : [input_RD]) as [Value, Value?];
  return { loss, distance_R, logprobs_R, entropy_R, hiddenGradient_RD, headGradient_VD };
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
  };
  const part = plainHead(form, cut(hidden_RD), head_VD, blockInputs);
  body.output("head.continue", body.constant({ dtype: "bool", dims: [], data: Uint8Array.of(1) }));
  body.output("head.lossOut", op.add(lossSoFar, part.loss));
  // What is summed over the blocks is the gradient as its product gives it: turned it is once, behind the loop.
  const { value: ofBlock, turned } = untransposed(part.headGradient_VD);
  if (ofBlock) body.output("head.gradientOut", sumOf([body.input("head.gradient", "float32", ofBlock.shape), ofBlock]));
  for (const name of ["distance_R", "logprobs_R", "entropy_R", "hiddenGradient_RD"] as const) body.output(`head.${name}`, part[name]);
  const blocks = op.div(op.squeeze(op.dimOf(hidden_RD, 0), [0]), block);
  const stacked = ["blocks", "block"];
  const width = hidden_RD.shape[1]!;
  const types = [stacked, stacked, stacked, [...stacked, width]].map((shape) => ({ dtype: "float32" as const, shape }));
  const before = [graph.scalar(0), ...(ofBlock ? [zerosOf(graph, ofBlock.shape)] : [])];
  const { state, scanned } = op.loop(graph, body, blocks, undefined, before, types);
  const [distance_R, logprobs_R, entropy_R] = scanned.slice(0, 3).map((x) => op.reshape(x, [hidden_RD.shape[0]!])) as [Value, Value, Value];
  const hiddenGradient_RD = op.reshape(scanned[3]!, hidden_RD.shape);
  const headGradient = turned && state[1] ? op.transpose(state[1], [1, 0]) : state[1];
  return { loss: state[0]!, headGradient_VD: headGradient, distance_R, logprobs_R, entropy_R, hiddenGradient_RD };
}

/** What a transposed matrix was made of; anything else as it is. */
function untransposed(value: Value | undefined): { readonly value: Value | undefined; readonly turned: boolean } {
  const turned = value?.producer?.op === "Transpose";
  return { value: turned ? value.producer?.inputs[0] : value, turned };
}

const zerosOf = (graph: Graph, shape: Shape): Value =>
  op.constantOfShape(graph.constant(int64(shape as number[])), shape, op.fillOf("float32", 0));

const mapValues = <T>(record: Readonly<Record<string, T>>, map: (value: T) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
