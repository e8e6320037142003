// Dimensions: B batch rows, P prompt positions, S cached positions, N tokens of this chunk, V vocabulary,
// G key/value heads, X heads per group, R = X + 2 rotated slots per group, E head size.
import { found } from "../../base/found.js";
import { Graph, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { float32, int64 } from "../graph/tensor.js";
import { declareAdapted } from "../models/adapter/declare.js";
import { architectureOf } from "../models/architectures/table.js";
import type { ModelConfig } from "../models/config/model-config.js";
import type { Constants } from "../models/constants.js";
import { causalAttention, maskedScore } from "../models/forward/attention.js";
import type { EncodedPrompts } from "../models/forward/cross-attention.js";
import { declareFusedFactors } from "../models/forward/fused-factors.js";
import { declareFused, type FusedProjection } from "../models/forward/fused-projections.js";
import { positionsOf } from "../models/forward/positions.js";
import { backwardBias } from "../models/forward/relative-bias.js";
import { stillRow } from "../models/forward/rotary.js";
import { type Attention, SequencePass } from "../models/forward/sequence-pass.js";
import { append, type KeyDistances, type LayerCache, StepPass, type StepPlace } from "../models/forward/step-pass.js";
import type { GraphWeights } from "../models/graph-weights.js";
import { attentionsOf, hiddenStates, logits } from "../models/hidden-states.js";
import type { Lora } from "../models/lora.js";
import { type Drawn, drawTokens } from "./draw.js";
import type { SamplingParams } from "./params.js";

/** What the graphs of decoding are built from. */
export interface DecodeGraphOptions {
  readonly config: ModelConfig;
  /** Constants with these values, or inputs that every run feeds. */
  readonly weights: Constants | "inputs";
  /** An adapter on the weights; its factors are inputs that every run feeds. */
  readonly lora?: Lora;
  readonly params: SamplingParams;
  /** Give the keys and values out, so that a later chunk can go on. */
  readonly keepCache: boolean;
  /** Ids that are never drawn; none if absent. */
  readonly unsampled?: Int32Array;
}

/** Token, position and life of each row as they enter the Loop. */
interface Rows {
  /** int64 [B, 1] */
  readonly token: Value;
  /** int64 [B]: rotary position of the token */
  readonly position: Value;
  /** float32 [B, 1]: 1, or 0 once the row has drawn a stop token */
  readonly alive: Value;
}

/** Names of a layer's cache in feeds and outputs. */
export const cacheName = (part: "k" | "v", layer: number): string => `${part}.${layer}`;

/** Names of what a layer of an encoder-decoder's decoder attends to in the prompts. */
export const promptCacheName = (part: "k" | "v", layer: number): string => `prompt.${part}.${layer}`;

/** Name of the mask [B, 1, 1, P] of the prompts that the rows of an encoder-decoder belong to. */
export const rowMaskName = "rowMask";

/**
 * The first chunk: reads the prompts, draws their first token, then goes on in a Loop.
 * Inputs: ids [B, P] int32 right-padded, lengths [B] int64, mask [B, 1, 1, P], firstBlock and firstToken [B, 1],
 * blockUniforms and tokenUniforms [N, B, 1] (negated), steps [] (further tokens), temperature [].
 * Outputs: first, firstLogprobs, firstSamplingLogprobs [B, 1]; tokens, logprobs, samplingLogprobs [N, B, 1]; alive [B, 1];
 * if asked for, firstTopIds [B, K] and topIds [N, B, K]; the cache if kept.
 */
export function startGraph(options: DecodeGraphOptions): Graph {
  const { config, params, lora } = options;
  const graph = new Graph("start");
  const weights = declareAdapted(graph, config, options.weights, lora);
  const ids_BP = graph.input("ids", "int32", ["B", "P"]);
  const lengths_B = graph.input("lengths", "int64", ["B"]);
  const inputs = declareCommon(graph);
  const mask_B11S = declareMask(graph, "P");
  const positions_BP = positionsOf(ids_BP);
  const cached_B11S = hasWindows(config) ? op.unsqueeze(positions_BP, [1, 2]) : undefined;
  const cache: LayerCache[] = [];
  const causal = causalAttention();
  const remember: Attention = (layer) => {
    cache.push({ k: layer.k, v: layer.v });
    return causal(layer);
  };
  const hidden_BPD = hiddenStates(new SequencePass(config, weights, { positions_BT: positions_BP, attend: remember }), ids_BP);
  const last_B1 = op.unsqueeze(op.sub(lengths_B, graph.constant(int64([1], []))), [1]);
  const hidden_BD = lastRows(hidden_BPD, last_B1, config.hiddenSize);
  const uniforms = {
    block_B1: graph.input("firstBlock", "float32", ["B", 1]),
    token_B1: graph.input("firstToken", "float32", ["B", 1]),
  };
  const logits_BV = logits(config, weights, hidden_BD);
  const drawn = drawTokens(logits_BV, uniforms, inputs.temperature, params, drawable(logits_BV, options));
  graph.output("first", drawn.tokens_B1);
  if (params.topIds) graph.output("firstTopIds", mostProbable(logits_BV, params.topIds));
  graph.output("firstLogprobs", drawn.logprobs_B1);
  graph.output("firstSamplingLogprobs", drawn.samplingLogprobs_B1);
  const rows = { token: drawn.tokens_B1, position: lengths_B, alive: stays(drawn, config, params) };
  decodeLoop(graph, options, stepWeights(graph, options, weights), rows, { layers: cache, positions_B11S: cached_B11S, mask_B11S }, inputs);
  return graph;
}

/**
 * A later chunk: goes on from a cache. Inputs as for {@link startGraph}, with token, position, aliveIn and k.i, v.i, and for a
 * model with windows the position of each cached token, cachedPositions [B, 1, 1, S] int64.
 *
 * An encoder-decoder begins with it, from an empty cache. All rows are as long as each other, so that it has no mask; it has
 * prompt.k.i, prompt.v.i and rowMask, as `encodeGraph` gives them.
 */
export function continueGraph(options: DecodeGraphOptions): Graph {
  const { config, lora } = options;
  const graph = new Graph("continue");
  const weights = declareAdapted(graph, config, options.weights, lora);
  const { encoder } = architectureOf(config);
  const inputs = declareCommon(graph);
  const shape = ["B", config.kvHeads, "S", config.headDim];
  const cache = Array.from({ length: config.layers }, (_, layer) => ({
    k: graph.input(cacheName("k", layer), "float32", shape),
    v: graph.input(cacheName("v", layer), "float32", shape),
  }));
  const cached_B11S = hasWindows(config) ? graph.input("cachedPositions", "int64", ["B", 1, 1, "S"]) : undefined;
  const context = encoder ? { encoded: declareEncoded(graph, config) } : { mask_B11S: declareMask(graph, "S") };
  const far = { layers: cache, positions_B11S: cached_B11S, ...context };
  const rows = {
    token: graph.input("token", "int64", ["B", 1]),
    position: graph.input("position", "int64", ["B"]),
    alive: graph.input("aliveIn", "float32", ["B", 1]),
  };
  decodeLoop(graph, options, stepWeights(graph, options, weights), rows, far, inputs);
  return graph;
}

/** What a decoder has read of the prompts of its rows, as `encodeGraph` gives it. */
function declareEncoded(graph: Graph, { layers, heads, headDim }: ModelConfig): EncodedPrompts {
  const input = (part: "k" | "v", layer: number) => graph.input(promptCacheName(part, layer), "float32", ["B", heads, "P", headDim]);
  return {
    layers: Array.from({ length: layers }, (_, layer) => ({ k: input("k", layer), v: input("v", layer) })),
    mask_B11P: graph.input(rowMaskName, "float32", ["B", 1, 1, "P"]),
  };
}

/** Whether layers of a model see a part of the text before them alone. */
export const hasWindows = ({ layerKinds }: ModelConfig): boolean => layerKinds.some(({ window }) => window !== undefined);

/** What was read before this chunk. */
interface FarCache {
  readonly layers: readonly LayerCache[];
  /** int64: position of each cached token; of a model with windows. */
  readonly positions_B11S: Value | undefined;
  /** 0 where a token is cached, else the masked score; of a decoder alone. */
  readonly mask_B11S?: Value;
  /** What an encoder has read. */
  readonly encoded?: EncodedPrompts;
}

/** Weights of the pass of one token: the model's own, and its projections in their fused form. */
interface StepWeights {
  readonly own: GraphWeights;
  readonly fused: readonly FusedProjection[];
}

function stepWeights(graph: Graph, { config, weights, lora }: DecodeGraphOptions, own: GraphWeights): StepWeights {
  const attentions = attentionsOf(config);
  const factors = declareFusedFactors(graph, config, lora, attentions);
  return { own, fused: declareFused(graph, config, weights, attentions).map((fused, i) => ({ ...fused, lowRank: factors[i] })) };
}

/** The k most probable tokens in falling order, int32 [B, K]. */
const mostProbable = (logits_BV: Value, k: number): Value => op.cast(op.topK(logits_BV, k)[1], "int32");

interface CommonInputs {
  readonly block_NB1: Value;
  readonly token_NB1: Value;
  readonly steps: Value;
  readonly temperature: Value;
}

const declareMask = (graph: Graph, cached: string): Value => graph.input("mask", "float32", ["B", 1, 1, cached]);

const declareCommon = (graph: Graph): CommonInputs => ({
  block_NB1: graph.input("blockUniforms", "float32", ["N", "B", 1]),
  token_NB1: graph.input("tokenUniforms", "float32", ["N", "B", 1]),
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

/** Logits to draw from: those that are never drawn are out of reach. The logits themselves if all may be. */
function drawable(logits_BV: Value, { unsampled, config: { vocabSize } }: DecodeGraphOptions): Value {
  if (!unsampled?.length) return logits_BV;
  const reach = new Float32Array(vocabSize);
  for (const id of unsampled) reach[id] = maskedScore;
  return op.add(logits_BV, logits_BV.graph.constantNamed(`reach.${logits_BV.graph.name}`, float32(reach, [vocabSize])));
}

/** 1 where the drawn token lets the row go on, 0 where it is a stop token: float32 [B, 1]. */
function stays({ tokens_B1 }: Drawn, { vocabSize }: ModelConfig, { stopIds }: SamplingParams): Value {
  const goesOn = new Float32Array(vocabSize).fill(1);
  for (const id of stopIds) goesOn[id] = 0;
  return op.gather(tokens_B1.graph.constantNamed(`goesOn.${tokens_B1.graph.name}`, float32(goesOn, [vocabSize])), tokens_B1);
}

/** bool []: some row is still alive. */
const anyAlive = (alive_B1: Value): Value => op.cast(op.reduceMax(alive_B1), "bool");

/**
 * The Loop: each iteration reads one token per row and draws the next, until `steps` or until no row is alive. What was
 * cached before is read from outside and never copied; only the keys and values of this chunk go from iteration to
 * iteration. Rows that are no longer alive go on drawing; the caller cuts what follows a stop token.
 */
function decodeLoop(
  graph: Graph,
  options: DecodeGraphOptions,
  weights: StepWeights,
  rows: Rows,
  cached: FarCache,
  inputs: CommonInputs,
): void {
  const { config, params, keepCache } = options;
  const far = cached.layers;
  const positions_NBR = slotPositions(graph, config, rows.position, inputs.block_NB1);
  const body = new Graph("decode", graph);
  const iteration = body.input("iteration", "int64", []);
  body.input("condition", "bool", []);
  const token_B1 = body.input("step.token", "int64", ["B", 1]);
  const alive_B1 = body.input("step.alive", "float32", ["B", 1]);
  const shape = ["B", config.kvHeads, "n", config.headDim];
  const near = far.map((_, layer) => ({
    k: body.input(`near.k.${layer}`, "float32", shape),
    v: body.input(`near.v.${layer}`, "float32", shape),
  }));
  const now = (x: Value) => op.gather(x, iteration);
  const place = placeOf(cached, { positions_BR: now(positions_NBR), near }, iteration, biasesOf(config, weights, far, inputs));
  const pass = new StepPass(config, weights.own, weights.fused, place);
  const hidden_B1D = hiddenStates(pass, token_B1);
  const logits_BV = logits(config, weights.own, op.reshape(hidden_B1D, ["B", config.hiddenSize]));
  const uniforms = { block_B1: now(inputs.block_NB1), token_B1: now(inputs.token_NB1) };
  const drawn = drawTokens(logits_BV, uniforms, inputs.temperature, params, drawable(logits_BV, options));
  const next_B1 = op.mul(alive_B1, stays(drawn, config, params));
  body.output("again", anyAlive(next_B1));
  body.output("next.token", drawn.tokens_B1);
  body.output("next.alive", next_B1);
  pass.grown.forEach(({ k, v }, layer) => {
    body.output(`grown.k.${layer}`, k);
    body.output(`grown.v.${layer}`, v);
  });
  body.output("drawn", drawn.tokens_B1);
  body.output("drawnLogprobs", drawn.logprobs_B1);
  body.output("drawnSamplingLogprobs", drawn.samplingLogprobs_B1);
  if (params.topIds) body.output("drawnTopIds", mostProbable(logits_BV, params.topIds));
  const empty = emptyCache(graph, config, rows.token);
  const state = [rows.token, rows.alive, ...far.flatMap(() => [empty, empty])];
  const float = { dtype: "float32" as const, shape: ["N", "B", 1] };
  const ids = params.topIds ? [{ dtype: "int32" as const, shape: ["N", "B", params.topIds] }] : [];
  const result = op.loop(graph, body, inputs.steps, anyAlive(rows.alive), state, [{ ...float, dtype: "int64" }, float, float, ...ids]);
  graph.output("tokens", result.scanned[0]!);
  graph.output("logprobs", result.scanned[1]!);
  graph.output("samplingLogprobs", result.scanned[2]!);
  if (params.topIds) graph.output("topIds", result.scanned[3]!);
  graph.output("alive", result.state[1]!);
  if (!keepCache) return;
  far.forEach(({ k, v }, layer) => {
    graph.output(`next.${cacheName("k", layer)}`, append(k, result.state[2 + 2 * layer]!));
    graph.output(`next.${cacheName("v", layer)}`, append(v, result.state[3 + 2 * layer]!));
  });
}

/** Where a step stands. @param iteration int64 []: steps of this chunk so far */
function placeOf(
  { layers, positions_B11S, mask_B11S, encoded }: FarCache,
  step: Pick<StepPlace, "positions_BR" | "near">,
  iteration: Value,
  biases: ChunkBiases | undefined,
): StepPlace {
  return {
    ...step,
    far: layers,
    ...(mask_B11S ? { mask_B11S } : {}),
    ...(positions_B11S ? { distances: keyDistances(step.positions_BR, positions_B11S, iteration) } : {}),
    ...(encoded ? { encoded } : {}),
    ...(biases ? { bias_1H1A: biases(iteration) } : {}),
  };
}

/** Position biases of a step's query over all keys before it and its own, [1, H, 1, S + n + 1], by the steps of the chunk before it. */
type ChunkBiases = (iteration: Value) => Value;

/** The biases of an encoder-decoder's decoder; those of a step are the last columns of those of the chunk's last query. */
function biasesOf(
  config: ModelConfig,
  { own }: StepWeights,
  far: readonly LayerCache[],
  { token_NB1 }: CommonInputs,
): ChunkBiases | undefined {
  const { encoder } = architectureOf(config);
  if (!encoder) return undefined;
  const integer = (x: number) => token_NB1.graph.constant(int64([x]));
  const steps = op.dimOf(token_NB1, 0);
  const cached = op.dimOf(found(far[0], "the first layer's cache").k, 2);
  const all_1H1L = backwardBias(own, encoder.decoderBias(config), op.add(cached, steps));
  const last = op.sub(steps, integer(1));
  return (iteration) => op.slice(all_1H1L, 3, op.sub(last, op.unsqueeze(iteration, [0])), integer(2 ** 31), "all");
}

/** How many tokens before this step's each cached key stands. @param iteration int64 []: steps of this chunk so far */
function keyDistances(positions_BR: Value, cached_B11S: Value, iteration: Value): KeyDistances {
  const integer = (x: number) => iteration.graph.constant(int64([x], []));
  const position_B111 = op.unsqueeze(op.slice(positions_BR, 1, 0, 1, 1), [2, 3]);
  return { far_B11S: op.sub(position_B111, cached_B11S), near_N: op.range(iteration, integer(-1), integer(-1), "n+") };
}

/** Rotary position of every slot in every step, int64 [N, B, R]: start + n for queries and key, the still row for the value. */
function slotPositions(graph: Graph, config: ModelConfig, start_B: Value, uniforms_NB1: Value): Value {
  const integer = (x: number) => graph.constant(int64([x], []));
  const steps_N = op.range(integer(0), op.squeeze(op.dimOf(uniforms_NB1, 0), [0]), integer(1), "N");
  const position_NB1 = op.add(op.unsqueeze(steps_N, [1, 2]), op.unsqueeze(start_B, [0, 2]));
  const share = config.heads / config.kvHeads;
  const rotated = graph.constant(int64([...new Array<number>(share + 1).fill(1), 0]));
  const positions_NBR = op.mul(position_NB1, rotated);
  const still = stillRow(config);
  if (still === 0) return positions_NBR;
  return op.add(positions_NBR, graph.constant(int64([...new Array<number>(share + 1).fill(0), still])));
}

/** No keys yet: [B, G, 0, E]. */
function emptyCache(graph: Graph, config: ModelConfig, rows: Value): Value {
  const shape = op.concat([op.dimOf(rows, 0), graph.constant(int64([config.kvHeads, 0, config.headDim]))], 0);
  return op.constantOfShape(shape, ["B", config.kvHeads, "n", config.headDim], op.fillOf("float32", 0));
}
