// Dimensions: B batch, T position, R rows (completion tokens), D width.
import { Graph } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { causalAttention } from "../models/attention.js";
import type { ModelConfig } from "../models/config.js";
import { hiddenStates, logits } from "../models/decoder.js";
import { declareParams, type Weights } from "../models/params.js";
import { defaultHiddenDtype } from "../signals/hidden-dtype.js";
import type { Signal } from "../signals/score.js";
import { signals } from "../signals/table.js";

/**
 * One forward over prompt and completion; logits only at the rows that predict a completion token, and only the answer
 * of the signal leaves the graph.
 * Inputs: ids [B, T] int32 right-padded, positions [B, T] int64, rows [R] int64 (places in [B·T]), labels [R] int32,
 * temperature [], and what the signal needs (its definition's `outputs`, which also name what comes out).
 */
export function scoreGraph(config: ModelConfig, weights: Weights, signal: Pick<Signal, "kind" | "hiddenDtype">): Graph {
  const graph = new Graph("score");
  const params = declareParams(graph, config, weights);
  const ids_BT = graph.input("ids", "int32", ["B", "T"]);
  const positions_BT = graph.input("positions", "int64", ["B", "T"]);
  const places_R = graph.input("rows", "int64", ["R"]);
  const labels_R = graph.input("labels", "int32", ["R"]);
  const temperature = graph.input("temperature", "float32", []);
  const hidden_BTD = hiddenStates(config, params, ids_BT, positions_BT, causalAttention());
  const hidden_RD = op.gather(op.reshape(hidden_BTD, ["BT", config.hiddenSize]), places_R);
  const rows = { graph, hidden_RD, labels_R, logits: () => op.div(logits(config, params, hidden_RD), temperature) };
  const outputs = signals[signal.kind].outputs(rows, signal.hiddenDtype ?? defaultHiddenDtype);
  for (const [name, value] of Object.entries(outputs)) graph.output(name, value);
  return graph;
}
