// Dimensions: B batch, T position, R rows (completion tokens), V vocabulary, K top classes.
import { Graph } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { causalAttention } from "../models/attention.js";
import type { ModelConfig } from "../models/config.js";
import { hiddenStates, logits } from "../models/decoder.js";
import { declareParams, type Weights } from "../models/params.js";
import type { Signal } from "./score.js";

/** Stands for the log-probability of a class that is left out of a sum. */
const removed = -3e38;

/**
 * One forward over prompt and completion; logits only at the rows that predict a completion token, and only the answer
 * of the signal leaves the graph.
 * Inputs: ids [B, T] int32 right-padded, positions [B, T] int64, rows [R] int64 (places in [B·T]), labels [R] int32,
 * temperature []. Outputs: logprobs [R]; `full` [R, V] or `ids`, `top` [R, K] and `tail` [R].
 */
export function scoreGraph(config: ModelConfig, weights: Weights, signal: Pick<Signal, "kind" | "k">): Graph {
  const graph = new Graph("score");
  const params = declareParams(graph, config, weights);
  const ids_BT = graph.input("ids", "int32", ["B", "T"]);
  const positions_BT = graph.input("positions", "int64", ["B", "T"]);
  const places_R = graph.input("rows", "int64", ["R"]);
  const labels_R = graph.input("labels", "int32", ["R"]);
  const temperature = graph.input("temperature", "float32", []);
  const hidden_BTD = hiddenStates(config, params, ids_BT, positions_BT, causalAttention());
  const hidden_RD = op.gather(op.reshape(hidden_BTD, ["BT", config.hiddenSize]), places_R);
  const logp_RV = op.logSoftmax(op.div(logits(config, params, hidden_RD), temperature));
  graph.output("logprobs", op.squeeze(op.gatherElements(logp_RV, op.unsqueeze(labels_R, [1])), [1]));
  if (signal.kind === "full") {
    graph.output("full", logp_RV);
    return graph;
  }
  const [top_RK, ids_RK] = op.topK(logp_RV, signal.k);
  graph.output("top", top_RK);
  graph.output("topIds", op.cast(ids_RK, "int32"));
  if (signal.k === config.vocabSize) {
    graph.output("tail", op.reduceSum(op.mul(op.slice(top_RK, 1, 0, 1), 0), [1]));
    return graph;
  }
  // The rest's mass as a logsumexp of its own: 1 − Σ exp would cancel to nothing, and Σ exp could underflow.
  const rest_RV = op.scatterElements(logp_RV, ids_RK, op.constantLike(top_RK, removed));
  const largest_R1 = op.reduceMax(rest_RV, [1], true);
  const mass_R1 = op.reduceSum(op.exp(op.sub(rest_RV, largest_R1)), [1], true);
  graph.output("tail", op.squeeze(op.add(op.log(mass_R1), largest_R1), [1]));
  return graph;
}
