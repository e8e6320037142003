// Dimensions: B batch, T position, R rows (completion tokens), D width, V vocabulary.
import { Graph, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { int64 } from "../graph/tensor.js";
import { declareAdapted } from "../models/adapter/declare.js";
import type { ModelConfig } from "../models/config/model-config.js";
import type { Constants } from "../models/constants.js";
import type { FusedDtype } from "../models/forward/fused-pass.js";
import { fusedStates } from "../models/fused-states.js";
import type { GraphWeights } from "../models/graph-weights.js";
import { logits } from "../models/hidden-states.js";
import type { Lora } from "../models/lora.js";
import { sequenceStates } from "../models/sequence-states.js";
import { defaultHiddenDtype } from "../signals/hidden-dtype.js";
import type { Signal } from "../signals/score.js";
import type { ScoredRows } from "../signals/signal.js";
import { signals } from "../signals/table.js";

/** What a graph that scores is made of. */
export interface ScoreGraphOptions {
  readonly config: ModelConfig;
  readonly weights: "inputs" | Constants;
  readonly signal: Pick<Signal, "kind" | "hiddenDtype">;
  readonly lora?: Lora | undefined;
  /** The layers are computed by the runtime's fused operators in this element type; else in float32, by plain ones. */
  readonly fused?: FusedDtype | undefined;
  /** Logits are made of as many rows at once as the input `blockRows` says, where the answer is smaller than they are. */
  readonly blocks?: boolean;
}

/**
 * One forward over prompt and completion; logits only at the rows that predict a completion token, and only the answer
 * of the signal leaves the graph. Logits and what is made of them are float32.
 * Inputs: those that the family lays texts out as (a decoder's: ids [B, T] int32 right-padded, positions [B, T] int64), rows
 * [R] int64 (places in [B·T]), labels [R] int32, temperature [], the factors of an adapter, and what the signal needs (its
 * definition's `outputs`, which also name what comes out); fused, those of `fusedStates`; in blocks, blocks and blockRows int64 [].
 * Outputs in blocks have blocks · blockRows rows: those behind the R-th are the last one's. Weights that are no constants are
 * inputs by their names.
 */
export function scoreGraph(options: ScoreGraphOptions): Graph {
  const { config, signal, blocks = false } = options;
  const graph = new Graph("score");
  const { hidden_BTD, weights } = statesOf(graph, options);
  const places_R = graph.input("rows", "int64", ["R"]);
  const labels_R = graph.input("labels", "int32", ["R"]);
  const temperature = graph.input("temperature", "float32", []);
  const hidden_RD = op.gather(op.reshape(hidden_BTD, ["BT", config.hiddenSize]), places_R);
  const definition = signals[signal.kind];
  const answer = (rows: Omit<ScoredRows, "logits">) =>
    definition.outputs(
      { ...rows, logits: () => op.div(logits(config, weights, rows.hidden_RD), temperature) },
      signal.hiddenDtype ?? defaultHiddenDtype,
    );
  const rows = { graph, hidden_RD, labels_R, input: graph.input.bind(graph), perRow: graph.input.bind(graph) };
  const outputs = blocks && definition.isSmall ? inBlocks(rows, answer) : answer(rows);
  for (const [name, value] of Object.entries(outputs)) graph.output(name, value);
  return graph;
}

function statesOf(graph: Graph, { config, weights, lora, fused }: ScoreGraphOptions): { hidden_BTD: Value; weights: GraphWeights } {
  if (fused && weights !== "inputs") return fusedStates(graph, { config, weights, lora, dtype: fused });
  const declared = declareAdapted(graph, config, weights, lora);
  return { hidden_BTD: sequenceStates(graph, config, declared), weights: declared };
}

/** The answer block by block of the rows: memory holds the logits of one. The last block is filled up with its last row. */
function inBlocks(rows: Omit<ScoredRows, "logits">, answer: (rows: Omit<ScoredRows, "logits">) => Readonly<Record<string, Value>>) {
  const { graph, hidden_RD, labels_R, input } = rows;
  const [count, size] = [graph.input("blocks", "int64", []), graph.input("blockRows", "int64", [])];
  const last = op.sub(op.squeeze(op.dimOf(labels_R, 0), [0]), graph.constant(int64([1], [])));
  const body = new Graph("rows", graph);
  const iteration = body.input("rows.iteration", "int64", []);
  body.input("rows.condition", "bool", []);
  const places_X = op.min(op.add(op.iota(size, "X"), op.mul(iteration, size)), last);
  const cut = (x: Value, axis = 0) => op.gather(x, places_X, axis);
  const perRow: ScoredRows["perRow"] = (name, dtype, shape) => cut(graph.input(name, dtype, shape), shape.indexOf("R"));
  const part = answer({ graph: body, hidden_RD: cut(hidden_RD), labels_R: cut(labels_R), input, perRow });
  body.output("rows.continue", body.constant({ dtype: "bool", dims: [], data: Uint8Array.of(1) }));
  const named = Object.entries(part);
  for (const [name, value] of named) body.output(`rows.${name}`, value);
  const types = named.map(([, { dtype, shape }]) => ({ dtype, shape: ["blocks", ...shape] }));
  const { scanned } = op.loop(graph, body, count, undefined, [], types);
  return Object.fromEntries(named.map(([name], i) => [name, op.joinRows(scanned[i] as Value, "R")]));
}
