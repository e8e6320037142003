// Dimensions: B batch rows, P prompt positions, S cached positions, N tokens of this chunk, V vocabulary,
// H heads, G key/value heads, X heads per group (H/G), E head size.
import { Graph, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { int64 } from "../graph/tensor.js";
import { causalAttention } from "../models/attention.js";
import type { ModelConfig } from "../models/config.js";
import { type Attention, type AttentionInputs, hiddenStates, logits } from "../models/decoder.js";
import { declareParams, type Params, type Weights } from "../models/params.js";
import { drawTokens } from "./draw.js";
import type { SamplingParams } from "./params.js";

export interface DecodeGraphOptions {
  readonly config: ModelConfig;
  readonly weights: Weights;
  readonly params: SamplingParams;
  /** Give the keys and values out, so that a later chunk can go on. */
  readonly keepCache: boolean;
}

/** Keys and values of one layer, [B, G, S, E] each. */
interface LayerCache {
  readonly k: Value;
  readonly v: Value;
}

/** Token, position and end mark of each row as they enter a step. */
interface Rows {
  /** int64 [B] */
  readonly token: Value;
  /** int64 [B]: rotary position of the token */
  readonly position: Value;
  /** bool [B] */
  readonly finished: Value;
}

/** Names of a layer's cache in feeds and outputs. */
export const cacheName = (part: "k" | "v", layer: number): string => `${part}.${layer}`;

/**
 * The first chunk: reads the prompts, draws their first token, then goes on in a Loop.
 * Inputs: ids [B, P] int32 right-padded, lengths [B] int64, mask [B, P], uniforms [N, B], steps [] (further tokens),
 * temperature []. Outputs: first, firstLogprobs [B]; tokens, logprobs [N, B]; finished [B]; the cache if kept.
 */
export function startGraph(options: DecodeGraphOptions): Graph {
  const { config, params } = options;
  const graph = new Graph("start");
  const weights = declareParams(graph, config, options.weights);
  const ids_BP = graph.input("ids", "int32", ["B", "P"]);
  const lengths_B = graph.input("lengths", "int64", ["B"]);
  const inputs = declareCommon(graph, "P");
  const length = op.squeeze(op.dimOf(ids_BP, 1), [0]);
  const positions_P = op.range(graph.constant(int64([0], [])), length, graph.constant(int64([1], [])), "P");
  const positions_BP = op.expand(op.unsqueeze(positions_P, [0]), op.shapeOf(ids_BP), ["B", "P"]);
  const cache: LayerCache[] = [];
  const causal = causalAttention();
  const remember: Attention = (layer) => {
    cache.push({ k: layer.k, v: layer.v });
    return causal(layer);
  };
  const hidden_BPD = hiddenStates(config, weights, ids_BP, positions_BP, remember);
  const last_B1 = op.unsqueeze(op.sub(lengths_B, graph.constant(int64([1], []))), [1]);
  const hidden_BD = lastRows(hidden_BPD, last_B1, config.hiddenSize);
  const firstUniforms_B = graph.input("firstUniforms", "float32", ["B"]);
  const { tokens_B, logprobs_B } = drawTokens(logits(config, weights, hidden_BD), firstUniforms_B, inputs.temperature, params);
  const rows = { token: tokens_B, position: lengths_B, finished: isStop(tokens_B, params.stopIds) };
  graph.output("first", tokens_B);
  graph.output("firstLogprobs", logprobs_B);
  decodeLoop(graph, options, weights, rows, cache, inputs);
  return graph;
}

/** A later chunk: goes on from a cache. Inputs as for {@link startGraph}, with token, position, finished and k.i, v.i. */
export function continueGraph(options: DecodeGraphOptions): Graph {
  const { config } = options;
  const graph = new Graph("continue");
  const weights = declareParams(graph, config, options.weights);
  const inputs = declareCommon(graph, "S");
  const shape = ["B", config.kvHeads, "S", config.headDim];
  const cache = Array.from({ length: config.layers }, (_, layer) => ({
    k: graph.input(cacheName("k", layer), "float32", shape),
    v: graph.input(cacheName("v", layer), "float32", shape),
  }));
  const rows = {
    token: graph.input("token", "int64", ["B"]),
    position: graph.input("position", "int64", ["B"]),
    finished: graph.input("finishedIn", "bool", ["B"]),
  };
  decodeLoop(graph, options, weights, rows, cache, inputs);
  return graph;
}

interface CommonInputs {
  readonly mask_BS: Value;
  readonly uniforms_NB: Value;
  readonly steps: Value;
  readonly temperature: Value;
}

const declareCommon = (graph: Graph, cached: string): CommonInputs => ({
  mask_BS: graph.input("mask", "float32", ["B", cached]),
  uniforms_NB: graph.input("uniforms", "float32", ["N", "B"]),
  steps: graph.input("steps", "int64", []),
  temperature: graph.input("temperature", "float32", []),
});

/** x[b, index[b]] of x [B, P, D]. */
function lastRows(x_BPD: Value, index_B1: Value, width: number): Value {
  const batch = x_BPD.shape[0]!;
  const places = op.expand(op.unsqueeze(index_B1, [2]), op.concat([op.dimOf(x_BPD, 0), x_BPD.graph.constant(int64([1, width]))], 0), [
    batch,
    1,
    width,
  ]);
  return op.squeeze(op.gatherElements(x_BPD, places, 1), [1]);
}

function isStop(tokens_B: Value, stopIds: readonly number[]): Value {
  const { graph } = tokens_B;
  const hits = stopIds.map((id) => op.equal(tokens_B, graph.constant(int64([id], []))));
  return hits.length ? hits.reduce((a, b) => op.or(a, b)) : op.less(tokens_B, graph.constant(int64([0], [])));
}

/**
 * The Loop: each iteration reads one token per row and draws the next. What was cached before is read from outside and
 * never copied; only the keys and values of this chunk are carried from iteration to iteration.
 */
function decodeLoop(
  graph: Graph,
  options: DecodeGraphOptions,
  weights: Params,
  rows: Rows,
  cache: readonly LayerCache[],
  inputs: CommonInputs,
): void {
  const { config, params, keepCache } = options;
  const body = new Graph("decode", graph);
  const iteration = body.input("iteration", "int64", []);
  body.input("condition", "bool", []);
  const token_B = body.input("step.token", "int64", ["B"]);
  const position_B = body.input("step.position", "int64", ["B"]);
  const finished_B = body.input("step.finished", "bool", ["B"]);
  const shape = ["B", config.kvHeads, "n", config.headDim];
  const recent = cache.map((_, layer) => ({
    k: body.input(`recent.k.${layer}`, "float32", shape),
    v: body.input(`recent.v.${layer}`, "float32", shape),
  }));
  const grown: LayerCache[] = [];
  const attention: Attention = (layer) => {
    const now = { k: append(recent[layer.layer]!.k, layer.k), v: append(recent[layer.layer]!.v, layer.v) };
    grown.push(now);
    return joinedAttention(layer, cache[layer.layer]!, now, inputs.mask_BS);
  };
  const column = (x_B: Value) => op.unsqueeze(x_B, [1]);
  const hidden_B1D = hiddenStates(config, weights, column(token_B), column(position_B), attention);
  const uniforms_B = op.squeeze(op.gather(inputs.uniforms_NB, op.unsqueeze(iteration, [0])), [0]);
  const { tokens_B, logprobs_B } = drawTokens(logits(config, weights, op.squeeze(hidden_B1D, [1])), uniforms_B, inputs.temperature, params);
  const ended_B = op.or(finished_B, isStop(tokens_B, params.stopIds));
  body.output("again", op.greater(op.reduceMax(op.cast(op.not(ended_B), "float32")), 0));
  body.output("next.token", tokens_B);
  body.output("next.position", op.add(position_B, body.constant(int64([1], []))));
  body.output("next.finished", ended_B);
  grown.forEach(({ k, v }, layer) => {
    body.output(`grown.k.${layer}`, k);
    body.output(`grown.v.${layer}`, v);
  });
  body.output("drawn", tokens_B);
  body.output("drawnLogprobs", logprobs_B);
  const anyAlive = op.greater(op.reduceMax(op.cast(op.not(rows.finished), "float32")), 0);
  const empty = emptyCache(graph, config, rows.token);
  const state = [rows.token, rows.position, rows.finished, ...cache.flatMap(() => [empty, empty])];
  const types = [
    { dtype: "int64" as const, shape: ["N", "B"] },
    { dtype: "float32" as const, shape: ["N", "B"] },
  ];
  const result = op.loop(graph, body, inputs.steps, anyAlive, state, types);
  graph.output("tokens", result.scanned[0]!);
  graph.output("logprobs", result.scanned[1]!);
  graph.output("finished", result.state[2]!);
  if (!keepCache) return;
  cache.forEach(({ k, v }, layer) => {
    graph.output(`next.${cacheName("k", layer)}`, append(k, result.state[3 + 2 * layer]!));
    graph.output(`next.${cacheName("v", layer)}`, append(v, result.state[4 + 2 * layer]!));
  });
}

const append = (before: Value, now: Value): Value => op.concat([before, now], 2, `${before.shape[2]}+`);

/** No keys yet: [B, G, 0, E]. */
function emptyCache(graph: Graph, config: ModelConfig, rows: Value): Value {
  const shape = op.concat([op.dimOf(rows, 0), graph.constant(int64([config.kvHeads, 0, config.headDim]))], 0);
  return op.constantOfShape(shape, ["B", config.kvHeads, "n", config.headDim], op.fillOf("float32", 0));
}

/** One query per row against the earlier cache and this chunk's keys: one softmax over both. */
function joinedAttention({ q, k }: AttentionInputs, before: LayerCache, now: LayerCache, mask_BS: Value): Value {
  const [batch, heads, , size] = q.shape as [string, number, number, number];
  const groups = k.shape[1] as number;
  const q_BGXE = op.reshape(q, [batch, groups, heads / groups, size]);
  const alpha = 1 / Math.sqrt(size);
  const far = op.add(op.fusedMatMul(q_BGXE, before.k, { transB: true, alpha }), op.unsqueeze(mask_BS, [1, 2]));
  const near = op.fusedMatMul(q_BGXE, now.k, { transB: true, alpha });
  const weights = op.softmax(op.concat([far, near], 3, "all"));
  const border = op.dimOf(before.k, 2);
  const zero = q.graph.constant(int64([0]));
  const farWeights = op.slice(weights, 3, zero, border, before.k.shape[2]!);
  const nearWeights = op.slice(weights, 3, border, q.graph.constant(int64([2 ** 31])), now.k.shape[2]!);
  const out = op.add(op.matMul(farWeights, before.v), op.matMul(nearWeights, now.v));
  return op.reshape(out, [batch, heads, 1, size]);
}
