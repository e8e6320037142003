// Dimensions: B batch, T position, R rows (completion tokens), D width.
import { gradients } from "../autodiff/gradients.js";
import { Graph } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import type { Objective } from "../losses/objective.js";
import { declareRows } from "../losses/row-losses.js";
import { causalAttention } from "../models/attention.js";
import type { ModelConfig } from "../models/config.js";
import { hiddenStates } from "../models/decoder.js";
import { declareParams, headName, paramSpecs } from "../models/params.js";
import { blockedHead, plainHead } from "./head.js";
import { accumulate, type Gradients, type OptimizerOptions, update } from "./update.js";

export interface StepGraphOptions {
  readonly config: ModelConfig;
  readonly objective: Objective;
  readonly optimizer: OptimizerOptions;
  /** Rows per block of the vocabulary loss; 0 takes all rows at once. */
  readonly blockRows: number;
}

/** Forward, loss and backward of one micro-batch; declares the inputs and the per-row outputs. */
function lossAndGradients(graph: Graph, { config, objective, blockRows }: StepGraphOptions): Gradients {
  const params = declareParams(graph, config, "inputs");
  const ids_BT = graph.input("ids", "int32", ["B", "T"]);
  const positions_BT = graph.input("positions", "int64", ["B", "T"]);
  // Position in the flattened [B·T] of the token that predicts each completion token.
  const places_R = graph.input("rows", "int64", ["R"]);
  const rows = declareRows(graph, objective, "R", config.vocabSize);
  const hidden_BTD = hiddenStates(config, params, ids_BT, positions_BT, causalAttention());
  const hidden_RD = op.gather(op.reshape(hidden_BTD, ["BT", config.hiddenSize]), places_R);
  const head_VD = params.get(headName(config))!;
  const head = blockRows ? blockedHead(objective, hidden_RD, head_VD, rows, blockRows) : plainHead(objective, hidden_RD, head_VD, rows);
  graph.output("loss", head.loss);
  graph.output("distance", head.distance_R);
  graph.output("logprobs", head.logprobs_R);
  graph.output("entropy", head.entropy_R);
  const names = paramSpecs(config).map(({ name }) => name);
  const wrt = names.map((name) => params.get(name)!);
  const values = gradients([{ value: hidden_RD, seed: head.hiddenGradient_RD }], wrt);
  const at = names.indexOf(headName(config));
  values[at] = config.tieWordEmbeddings ? op.add(values[at]!, head.headGradient_VD) : head.headGradient_VD;
  return { params, names, values };
}

/** The whole optimiser step of a batch that is one micro-batch. */
export function stepGraph(options: StepGraphOptions): Graph {
  const graph = new Graph("train-step");
  update(graph, lossAndGradients(graph, options), options.optimizer);
  return graph;
}

/** Adds the gradients of one micro-batch to those of the earlier ones. */
export function accumulateGraph(options: StepGraphOptions): Graph {
  const graph = new Graph("accumulate");
  accumulate(graph, lossAndGradients(graph, options));
  return graph;
}
