// Dimensions: B batch, T position, R rows (completion tokens), D width.
import { Graph } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { declareAdapted } from "../models/adapter/declare.js";
import type { ModelConfig } from "../models/config/model-config.js";
import type { Constants } from "../models/constants.js";
import { logits } from "../models/hidden-states.js";
import type { Lora } from "../models/lora.js";
import { sequenceStates } from "../models/sequence-states.js";
import { defaultHiddenDtype } from "../signals/hidden-dtype.js";
import type { Signal } from "../signals/score.js";
import { signals } from "../signals/table.js";

/**
 * One forward over prompt and completion; logits only at the rows that predict a completion token, and only the answer
 * of the signal leaves the graph.
 * Inputs: those that the family lays texts out as (a decoder's: ids [B, T] int32 right-padded, positions [B, T] int64), rows
 * [R] int64 (places in [B·T]), labels [R] int32, temperature [], the factors of an adapter, and what the signal needs (its
 * definition's `outputs`, which also name what comes out). Weights that are no constants are inputs by their names.
 */
export function scoreGraph(
  config: ModelConfig,
  weights: "inputs" | Constants,
  signal: Pick<Signal, "kind" | "hiddenDtype">,
  lora?: Lora,
): Graph {
  const graph = new Graph("score");
  const params = declareAdapted(graph, config, weights, lora);
  const hidden_BTD = sequenceStates(graph, config, params);
  const places_R = graph.input("rows", "int64", ["R"]);
  const labels_R = graph.input("labels", "int32", ["R"]);
  const temperature = graph.input("temperature", "float32", []);
  const hidden_RD = op.gather(op.reshape(hidden_BTD, ["BT", config.hiddenSize]), places_R);
  const rows = { graph, hidden_RD, labels_R, logits: () => op.div(logits(config, params, hidden_RD), temperature) };
  const outputs = signals[signal.kind].outputs(rows, signal.hiddenDtype ?? defaultHiddenDtype);
  for (const [name, value] of Object.entries(outputs)) graph.output(name, value);
  return graph;
}
