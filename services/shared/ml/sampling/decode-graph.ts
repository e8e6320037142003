// Dimensions: N tokens of all rows that a step reads, B rows, P tokens of the row that has most, S cached positions, n positions
// that this run has read before, U = S + n + P keys, K steps of a run, V vocabulary, G key/value heads, X heads per group,
// Q = X·P queries of a group, E head size.
import { Graph, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { float32, int64 } from "../graph/tensor.js";
import { declareAdapted } from "../models/adapter/declare.js";
import { architectureOf } from "../models/architectures/table.js";
import type { ModelConfig } from "../models/config/model-config.js";
import type { Constants } from "../models/constants.js";
import { maskedScore } from "../models/forward/attention.js";
import { declareFusedFactors } from "../models/forward/fused-factors.js";
import { declareFused, type FusedProjection } from "../models/forward/fused-projections.js";
import { StepPass } from "../models/forward/step-pass.js";
import type { GraphWeights } from "../models/graph-weights.js";
import { attentionsOf, hiddenStates, logits } from "../models/hidden-states.js";
import type { Lora } from "../models/lora.js";
import { cacheName, type DecodeInputs, declareEncoded, declareInputs, readName } from "./decode-inputs.js";
import { drawTokens } from "./draw.js";
import { firstState, nextState, placeOf, type State } from "./loop-state.js";

/** Outputs that say what was drawn. */
export const drawnNames = ["ids", "logprobs", "samplingLogprobs", "mostProbable"] as const;

/** What the graph of decoding is built from. */
export interface DecodeGraphOptions {
  readonly config: ModelConfig;
  /** Constants with these values, or inputs that every run feeds. */
  readonly weights: Constants | "inputs";
  /** Queries, keys and values are one product, of weights that are made of the model's own: faster for a small model. */
  readonly fused: boolean;
  /** An adapter on the weights; its factors are inputs that every run feeds. */
  readonly lora?: Lora;
  /** Ids that are never drawn; none if absent. */
  readonly unsampled?: Int32Array;
}

/**
 * Decoding: every row reads its next tokens behind what is cached of it, and draws one; then, in a Loop, reads that and draws
 * the next. The first iteration reads prompts, or of a row that goes on its last token: all are one Loop, so that the weights
 * are packed once. What was cached before is read from outside and never copied; only what this run reads goes from iteration
 * to iteration.
 *
 * Inputs, int64 unless said: tokens and positions [N, 1], one row's behind another's; tokenOf [B, P], rowOf and placeOf [N, 1]
 * and lastOf [B], which say whose they are; cached [B], how many places of k.i and v.i [B, G, S, E] float32 are a row's own;
 * blockUniforms and tokenUniforms [K, B, 1] float32 (negated); limits [B, 1], most tokens of a row; enough [] float32: so few
 * rows that go on end the run; goesOn [V] float32, 0 for stop tokens; what `declareDrawing` declares; topIds [1]. Of an
 * encoder-decoder prompt.k.i, prompt.v.i [B, H, prompt, E] and prompt.mask.
 *
 * Outputs: ids, logprobs, samplingLogprobs [k, B, 1] and mostProbable [k, B, topIds] int32 of the k steps that were taken, and
 * read.k.i, read.v.i [B, G, P + k − 1, E]. A row that has ended draws on; the caller cuts what it draws.
 */
export function decodeGraph(options: DecodeGraphOptions): Graph {
  const { config } = options;
  const graph = new Graph("decode");
  const weights = declareStepWeights(graph, options);
  const inputs = declareInputs(graph, config);
  const encoded = architectureOf(config).encoder && declareEncoded(graph, config);
  const first = firstState(config, inputs, options.fused);
  const body = new Graph("step", graph);
  const iteration = body.input("iteration", "int64", []);
  body.input("condition", "bool", []);
  const carried = ([name, { dtype, shape }]: [string, Value]) => [name, body.input(`now.${name}`, dtype, shape)] as const;
  const now = Object.fromEntries(Object.entries(first).map(carried)) as unknown as State;
  const shape = ["B", config.kvHeads, "n", config.headDim];
  const near = inputs.far.map((_, layer) => ({
    k: body.input(`near.${cacheName("k", layer)}`, "float32", shape),
    v: body.input(`near.${cacheName("v", layer)}`, "float32", shape),
  }));
  const pass = new StepPass(config, weights.own, weights.fused, {
    ...placeOf(config, weights.own, now),
    far: inputs.far,
    near,
    ...(encoded ? { encoded } : {}),
  });
  const hidden_ND = op.reshape(hiddenStates(pass, now.tokens_N1), ["N", config.hiddenSize]);
  const logits_BV = logits(config, weights.own, op.gather(hidden_ND, now.last_B));
  const of = (x_KB1: Value) => op.gather(x_KB1, iteration);
  const uniforms = { block_B1: of(inputs.block_KB1), token_B1: of(inputs.token_KB1) };
  const drawn = drawTokens(logits_BV, uniforms, inputs.drawing, drawable(logits_BV, options));
  const goesOn_B1 = op.mul(op.gather(inputs.goesOn_V, drawn.tokens_B1), of(inTime(inputs)));
  const next = nextState(config, now, drawn.tokens_B1, op.mul(now.alive_B1, goesOn_B1), inputs, options.fused);
  body.output("again", op.greater(op.reduceSum(next.alive_B1), inputs.enough));
  for (const name of Object.keys(first)) body.output(`next.${name}`, next[name as keyof State] as Value);
  pass.grown.forEach(({ k, v }, layer) => {
    body.output(`grown.${cacheName("k", layer)}`, k);
    body.output(`grown.${cacheName("v", layer)}`, v);
  });
  body.output("drawn", drawn.tokens_B1);
  body.output("drawnLogprobs", drawn.logprobs_B1);
  body.output("drawnSamplingLogprobs", drawn.samplingLogprobs_B1);
  body.output("drawnTopIds", mostProbable(logits_BV, inputs.topIds));
  const empty = emptyCache(graph, config, inputs);
  const state = [...Object.values(first), ...inputs.far.flatMap(() => [empty, empty])] as Value[];
  const float = { dtype: "float32" as const, shape: ["k", "B", 1] };
  const scanned = [{ ...float, dtype: "int64" as const }, float, float, { dtype: "int32" as const, shape: ["k", "B", "topIds"] }];
  const steps = op.squeeze(op.dimOf(inputs.block_KB1, 0), [0]);
  const result = op.loop(graph, body, steps, undefined, state, scanned);
  for (const [i, name] of drawnNames.entries()) graph.output(name, result.scanned[i]!);
  const read = result.state.slice(Object.keys(first).length);
  inputs.far.forEach((_, layer) => {
    graph.output(readName("k", layer), read[2 * layer]!);
    graph.output(readName("v", layer), read[2 * layer + 1]!);
  });
  return graph;
}

/** Weights of a step: the model's own and, where they are asked for, its projections in their fused form. */
interface StepWeights {
  readonly own: GraphWeights;
  readonly fused: readonly FusedProjection[] | undefined;
}

function declareStepWeights(graph: Graph, { config, weights, lora, fused }: DecodeGraphOptions): StepWeights {
  const own = declareAdapted(graph, config, weights, lora);
  if (!fused) return { own, fused: undefined };
  const attentions = attentionsOf(config);
  const factors = declareFusedFactors(graph, config, lora, attentions);
  return { own, fused: declareFused(graph, config, weights, attentions).map((one, i) => ({ ...one, lowRank: factors[i] })) };
}

/** Logits to draw from: those that are never drawn are out of reach. The logits themselves if all may be. */
export function drawable(logits_BV: Value, { unsampled, config: { vocabSize } }: Pick<DecodeGraphOptions, "unsampled" | "config">): Value {
  if (!unsampled?.length) return logits_BV;
  const reach = new Float32Array(vocabSize);
  for (const id of unsampled) reach[id] = maskedScore;
  return op.add(logits_BV, logits_BV.graph.constantNamed("reach", float32(reach, [vocabSize])));
}

/** 1 where a row may go on behind the token that it draws in a step, 0 where that is its last: float32 [K, B, 1]. */
function inTime({ block_KB1, limits_B1 }: DecodeInputs): Value {
  const after_K = op.add(op.iota(op.dimOf(block_KB1, 0), "K"), block_KB1.graph.constant(int64([1], [])));
  return op.cast(op.less(op.unsqueeze(after_K, [1, 2]), op.unsqueeze(limits_B1, [0])), "float32");
}

/** The most probable tokens in falling order, int32 [B, count]. */
function mostProbable(logits_BV: Value, count: Value): Value {
  const { graph } = count;
  const isAsked = op.greater(op.squeeze(count, [0]), graph.constant(int64([0], [])));
  const [ids] = op.choose(
    isAsked,
    [logits_BV],
    (x) => [op.cast(op.topK(x, count)[1], "int32")],
    (x) => [op.constantOfShape(op.concat([op.dimOf(x, 0), x.graph.constant(int64([0]))], 0), ["B", "topIds"], op.fillOf("int32", 0))],
    [{ dtype: "int32", shape: ["B", "topIds"] }],
  );
  return ids!;
}

/** No keys yet: [B, G, 0, E]. */
function emptyCache(graph: Graph, { kvHeads, headDim }: ModelConfig, { last_B }: DecodeInputs): Value {
  const shape = op.concat([op.dimOf(last_B, 0), graph.constant(int64([kvHeads, 0, headDim]))], 0);
  return op.constantOfShape(shape, ["B", kvHeads, "n", headDim], op.fillOf("float32", 0));
}
