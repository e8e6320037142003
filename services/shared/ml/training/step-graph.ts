// Dimensions: B batch, T position, N = B·T, R rows (completion tokens), D width.
import { found } from "../../base/found.js";
import { dependsOn, gradients } from "../autodiff/gradients.js";
import { Graph, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import type { Stage } from "../graph/stage.js";
import type { Objective } from "../losses/objective.js";
import { declareRows } from "../losses/row-losses.js";
import type { ModelConfig } from "../models/config/model-config.js";
import type { Constants } from "../models/constants.js";
import { declareWeights, graphWeights } from "../models/graph-weights.js";
import { headLogits } from "../models/hidden-states.js";
import { headName } from "../models/model-params.js";
import type { ParamSpec } from "../models/param-spec.js";
import { sequenceStates } from "../models/sequence-states.js";
import type { Trainable } from "../models/trainable.js";
import type { HeadShape } from "../signals/form.js";
import type { ComputeDtype } from "./compute-dtype.js";
import { accumulated, declareGradients, type GradientOut, plain } from "./gradients-out.js";
import { blockedHead, type HeadForm, wholeHead } from "./head.js";

/** What a step's graph is made of. */
export interface StepGraphOptions {
  readonly config: ModelConfig;
  readonly trainable: Trainable;
  /** The weights that stay as they are, where they lie in files: the graph has them as constants. Else they are inputs. */
  readonly frozen?: Constants | undefined;
  readonly objective: Objective;
  /** The vocabulary loss takes blocks of as many rows as the input `blockRows` (int64 []) says; else all rows at once. */
  readonly blocks: boolean;
  /** What the loss does between the products goes by so many rows at a time: see `slicedHead`. Default: by all. */
  readonly sliceRows?: number | undefined;
  /** The heads of the teacher whose hidden states the rows have. */
  readonly heads?: readonly HeadShape[] | undefined;
  /** The rows' log-ratios are given: see `RowForm`. */
  readonly gaps?: boolean | undefined;
  /** The rows' masses are given: see `RowForm`. */
  readonly masses?: boolean | undefined;
  /** Values report the student's ranks: see `rankReports`. */
  readonly ranks?: boolean | undefined;
  /** Some classes of the teacher's fill rows up: see `SignalShape`. */
  readonly padded?: boolean | undefined;
  /**
   * What matrix products of the student are computed in, forward and backward. Weights, norms, softmax, loss and sums of gradients are
   * float32 with all of them. With float16 gradients are multiplied with the input `lossScale` (float32 []). Default float32.
   */
  readonly computeDtype?: ComputeDtype | undefined;
  /** Compute each layer again in the backward pass instead of keeping what it made. Default false. */
  readonly gradientCheckpointing?: boolean | undefined;
}

/** Forward and loss of one micro-batch, with what its gradient begins from. */
function lossOf(graph: Graph, options: StepGraphOptions, isTrained: boolean) {
  const { config, trainable, objective, blocks, sliceRows, heads, gaps, masses, padded, ranks } = options;
  const { specs } = trainable;
  const frozen = declareWeights(graph, trainable.frozen, options.frozen ?? "inputs");
  const params = new Map([...declareWeights(graph, specs, "inputs"), ...frozen]);
  const weights = trainable.weights(params);
  const stages: Stage[] = [];
  const { computeDtype = "float32" } = options;
  const dtype = computeDtype === "float32" ? undefined : computeDtype;
  const hidden_BTD = graph.withProductsIn(dtype, () => sequenceStates(graph, config, weights, stages));
  // Position in the flattened [N] of the token that predicts each completion token.
  const places_R = graph.input("rows", "int64", ["R"]);
  // Without those that fill up the last block.
  const rowCount = graph.input("rowCount", "int64", [1]);
  const rows = declareRows(graph, objective, "R", config.vocabSize, { heads, gaps, masses, padded });
  const hidden_ND = op.reshape(hidden_BTD, ["N", config.hiddenSize]);
  const hidden_RD = op.gather(hidden_ND, places_R);
  const head_VD = weights.weight(headName(config));
  const own = graphWeights(params);
  const wrt = specs.map(({ name }) => own.weight(name));
  const form: HeadForm = {
    objective,
    logits: (hidden: Value, weight: Value) => graph.withProductsIn(dtype, () => headLogits(config, hidden, weight)),
    trained: isTrained ? (dependsOn(head_VD, wrt) ? "head" : "body") : "nothing",
    lossScale: isTrained && computeDtype === "float16" ? graph.input("lossScale", "float32", []) : undefined,
    ranks,
    sliceRows,
  };
  // Rounded once, and not in each block.
  const rounded_VD = dtype ? (graph.stored(head_VD, dtype) ?? op.cast(head_VD, dtype)) : head_VD;
  const head = blocks
    ? blockedHead(form, hidden_RD, rounded_VD, rows, graph.input("blockRows", "int64", []))
    : wholeHead(form, hidden_RD, rounded_VD, rows);
  graph.output("loss", head.loss);
  for (const [name, value] of Object.entries(head.reports)) graph.output(name, value);
  return { hidden_ND, places_R, rowCount, head_VD, head, stages, wrt };
}

/** Forward, loss and backward of one micro-batch. */
function lossAndGradients(graph: Graph, options: StepGraphOptions, out: GradientOut): Graph {
  const { trainable, gradientCheckpointing = false } = options;
  const { specs } = trainable;
  const { hidden_ND, places_R, rowCount, head_VD, head, stages, wrt } = lossOf(graph, options, true);
  // A tied head is the embedding too, and a low-rank one is made of others: its gradient goes on from there.
  const gradient_RD = found(head.hiddenGradient_RD, "the gradient of hidden states");
  // Where no row fills up, no position comes twice.
  const [ownPlaces, own_RD] = [places_R, gradient_RD].map((value) => op.slice(value, 0, 0, rowCount, "own")) as [Value, Value];
  const seeds = [{ value: hidden_ND, seed: op.putRows(op.zerosLike(hidden_ND), ownPlaces, own_RD) }];
  if (head.headGradient_VD) seeds.push({ value: head_VD, seed: head.headGradient_VD });
  const finish = (gradient: Value, i: number) => out(graph, specs[i] as ParamSpec, gradient);
  declareGradients(graph, specs, gradients(seeds, wrt, { stages, recompute: gradientCheckpointing, finish }));
  return graph;
}

/** Loss and gradients of a batch that is one micro-batch. */
export const gradientsGraph = (options: StepGraphOptions): Graph => lossAndGradients(new Graph("gradients"), options, plain);

/** Adds the gradients of one micro-batch to those of the earlier ones. */
export const accumulateGraph = (options: StepGraphOptions): Graph => lossAndGradients(new Graph("accumulate"), options, accumulated);

/** What a step reports of each row, without gradients. */
export function valuesGraph(options: StepGraphOptions): Graph {
  const graph = new Graph("values");
  lossOf(graph, options, false);
  return graph;
}
