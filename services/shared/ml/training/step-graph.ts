// Dimensions: B batch, T position, R rows (completion tokens), D width.
import { dependsOn, gradients } from "../autodiff/gradients.js";
import { Graph, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import type { Objective } from "../losses/objective.js";
import { declareRows } from "../losses/row-losses.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { declareWeights, graphWeights } from "../models/graph-weights.js";
import { headLogits } from "../models/hidden-states.js";
import { headName } from "../models/model-params.js";
import { sequenceStates } from "../models/sequence-states.js";
import type { Trainable } from "../models/trainable.js";
import { accumulate, type Gradient, give, withGradients } from "./gradients-out.js";
import { blockedHead, plainHead } from "./head.js";

/** What a step's graph is made of. */
export interface StepGraphOptions {
  readonly config: ModelConfig;
  readonly trainable: Trainable;
  readonly objective: Objective;
  /** Rows per block of the vocabulary loss; 0 takes all rows at once. */
  readonly blockRows: number;
  /** The cap on the logits of the teacher whose hidden states the rows have. */
  readonly headSoftCap?: number | undefined;
}

/** Forward, loss and backward of one micro-batch; declares the inputs and the per-row outputs. */
function lossAndGradients(graph: Graph, { config, trainable, objective, blockRows, headSoftCap }: StepGraphOptions): Gradient[] {
  const { specs, frozen } = trainable;
  const params = declareWeights(graph, [...specs, ...frozen], "inputs");
  const weights = trainable.weights(params);
  const hidden_BTD = sequenceStates(graph, config, weights);
  // Position in the flattened [B·T] of the token that predicts each completion token.
  const places_R = graph.input("rows", "int64", ["R"]);
  const rows = declareRows(graph, objective, "R", config.vocabSize, headSoftCap);
  const hidden_RD = op.gather(op.reshape(hidden_BTD, ["BT", config.hiddenSize]), places_R);
  const head_VD = weights.weight(headName(config));
  const own = graphWeights(params);
  const wrt = specs.map(({ name }) => own.weight(name));
  const form = {
    objective,
    logits: (hidden: Value, weight: Value) => headLogits(config, hidden, weight),
    trained: dependsOn(head_VD, wrt),
  };
  const head = blockRows ? blockedHead(form, hidden_RD, head_VD, rows, blockRows) : plainHead(form, hidden_RD, head_VD, rows);
  graph.output("loss", head.loss);
  graph.output("distance", head.distance_R);
  graph.output("logprobs", head.logprobs_R);
  graph.output("entropy", head.entropy_R);
  // A tied head is the embedding too, and a low-rank one is made of others: its gradient goes on from there.
  const seeds = [{ value: hidden_RD, seed: head.hiddenGradient_RD }];
  if (head.headGradient_VD) seeds.push({ value: head_VD, seed: head.headGradient_VD });
  return withGradients(specs, gradients(seeds, wrt));
}

/** Loss and gradients of a batch that is one micro-batch. */
export function gradientsGraph(options: StepGraphOptions): Graph {
  const graph = new Graph("gradients");
  give(graph, lossAndGradients(graph, options));
  return graph;
}

/** Adds the gradients of one micro-batch to those of the earlier ones. */
export function accumulateGraph(options: StepGraphOptions): Graph {
  const graph = new Graph("accumulate");
  accumulate(graph, lossAndGradients(graph, options));
  return graph;
}
