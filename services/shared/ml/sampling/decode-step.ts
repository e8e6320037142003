// Dimensions: B batch rows, D width, H heads, G key/value heads, X heads per group (H/G), R = X + 2 slots per group
// (its queries, its key, its value), E head size, S cached positions, n positions of this chunk.
import type { Graph, Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { float32, type Tensor } from "../graph/tensor.js";
import type { ModelConfig } from "../models/config.js";
import type { Params, Weights } from "../models/params.js";
import { rotaryTables } from "../models/rotary.js";

/** Keys and values of one layer, [B, G, S, E] each. */
export interface LayerCache {
  readonly k: Value;
  readonly v: Value;
}

export interface StepInputs {
  /** int64 [B, 1] */
  readonly token_B1: Value;
  /** int64 [B, R]: rotary position of each slot; 0 for the value's, which the rotation then leaves as it is. */
  readonly positions_BR: Value;
  /** Per layer what was cached before this chunk; read in place. */
  readonly far: readonly LayerCache[];
  /** Per layer the keys and values of this chunk so far. */
  readonly near: readonly LayerCache[];
  /** [B, 1, 1, S]: 0 where the far cache holds a token, else the masked score. */
  readonly mask_B11S: Value;
}

/** Weights in the decode step's own layout, beside the model's. */
export interface StepWeights {
  readonly params: Params;
  /** Per layer [G·R·E, D]: queries, key and value of one group after another. */
  readonly qkv: readonly Value[];
  /** Per layer [G·R·E], where the model has these biases. */
  readonly qkvBias: readonly Value[];
}

/** Name of a layer's fused projection in feeds. */
const fusedName = (kind: "weight" | "bias", layer: number): string => `step.qkv.${kind}.${layer}`;

/** The fused projections of every layer by name: what a graph with weights as inputs is fed beside the model's own. */
export function fuseProjections(config: ModelConfig, weights: Weights): Weights {
  const fused = new Map<string, Tensor<"float32">>();
  for (let layer = 0; layer < config.layers; layer++) {
    fused.set(fusedName("weight", layer), groupedProjection(config, weights, layer, "weight"));
    if (config.qkvBias) fused.set(fusedName("bias", layer), groupedProjection(config, weights, layer, "bias"));
  }
  return fused;
}

/** Declares the fused projections of every layer, as constants with the given weights or as inputs. */
export function declareStepWeights(graph: Graph, config: ModelConfig, as: Weights | "inputs", params: Params): StepWeights {
  const rows = (config.heads + 2 * config.kvHeads) * config.headDim;
  const declare = (layer: number, kind: "weight" | "bias") => {
    const name = fusedName(kind, layer);
    if (as === "inputs") return graph.input(name, "float32", kind === "weight" ? [rows, config.hiddenSize] : [rows]);
    return graph.initializer(name, groupedProjection(config, as, layer, kind));
  };
  const layers = Array.from({ length: config.layers }, (_, layer) => layer);
  return {
    params,
    qkv: layers.map((layer) => declare(layer, "weight")),
    qkvBias: config.qkvBias ? layers.map((layer) => declare(layer, "bias")) : [],
  };
}

/** The rows of the q, k and v projections in the order group by group: X query heads, the key head, the value head. */
function groupedProjection(config: ModelConfig, weights: Weights, layer: number, kind: "weight" | "bias"): Tensor<"float32"> {
  const { heads, kvHeads, headDim, hiddenSize } = config;
  const share = heads / kvHeads;
  const headSize = headDim * (kind === "weight" ? hiddenSize : 1);
  const [q, k, v] = ["q", "k", "v"].map((name) => weights.get(`model.layers.${layer}.self_attn.${name}_proj.${kind}`)!.data);
  const out = new Float32Array((heads + 2 * kvHeads) * headSize);
  for (let group = 0; group < kvHeads; group++) {
    const at = group * (share + 2) * headSize;
    out.set(q!.subarray(group * share * headSize, (group + 1) * share * headSize), at);
    out.set(k!.subarray(group * headSize, (group + 1) * headSize), at + share * headSize);
    out.set(v!.subarray(group * headSize, (group + 1) * headSize), at + (share + 1) * headSize);
  }
  const rows = (heads + 2 * kvHeads) * headDim;
  return float32(out, kind === "weight" ? [rows, hiddenSize] : [rows]);
}

/**
 * One token per row through the decoder: what `hiddenStates` computes for T = 1, with as few operators as can be, since
 * at this size each costs more than its arithmetic. One product gives queries, keys and values; laid out group by group
 * they are rotated together without a transpose; sum and norm are one operator.
 *
 * @returns the hidden state [B, 1, D] after the final norm, and the grown near cache
 */
export function decodeStep(config: ModelConfig, weights: StepWeights, inputs: StepInputs): { hidden_B1D: Value; grown: LayerCache[] } {
  const { params } = weights;
  const { graph } = params.get("model.embed_tokens.weight")!;
  const { cos, sin } = rotaryTables(config);
  const tables = { cos: graph.constantNamed("rotary.cos", cos), sin: graph.constantNamed("rotary.sin", sin) };
  const grown: LayerCache[] = [];
  let sum_B1D = op.gather(params.get("model.embed_tokens.weight")!, inputs.token_B1);
  let update_B1D: Value | undefined;
  const norm = (scale: Value): Value => {
    if (!update_B1D) return op.simplifiedLayerNormalization(sum_B1D, scale, config.rmsNormEps)[0];
    const [normed, sum] = op.skipSimplifiedLayerNormalization(sum_B1D, update_B1D, scale, config.rmsNormEps);
    sum_B1D = sum;
    return normed;
  };
  for (let layer = 0; layer < config.layers; layer++) {
    const weight = (name: string) => params.get(`model.layers.${layer}.${name}`);
    const { q, k, v } = project(config, weights, layer, norm(weight("input_layernorm.weight")!), inputs.positions_BR, tables);
    const now = { k: append(inputs.near[layer]!.k, k), v: append(inputs.near[layer]!.v, v) };
    grown.push(now);
    const joined = joinedAttention(q, inputs.far[layer]!, now, inputs.mask_B11S);
    update_B1D = linear(weight, "self_attn.o_proj", op.reshape(joined, ["B", 1, config.heads * config.headDim]));
    const normed = norm(weight("post_attention_layernorm.weight")!);
    const gate = op.quickGelu(linear(weight, "mlp.gate_proj", normed));
    update_B1D = linear(weight, "mlp.down_proj", op.mul(gate, linear(weight, "mlp.up_proj", normed)));
  }
  return { hidden_B1D: norm(params.get("model.norm.weight")!), grown };
}

/** `now` behind `before` along the positions. */
export const append = (before: Value, now: Value): Value => op.concat([before, now], 2, `${before.shape[2]}+`);

function linear(weight: (name: string) => Value | undefined, name: string, x: Value): Value {
  const y = op.fusedMatMul(x, weight(`${name}.weight`)!, { transB: true });
  const bias = weight(`${name}.bias`);
  return bias ? op.add(y, bias) : y;
}

/** Rotated queries [B, G, X, E] and keys [B, G, 1, E], and values [B, G, 1, E], of one layer. */
function project(
  config: ModelConfig,
  { params, qkv, qkvBias }: StepWeights,
  layer: number,
  x_B1D: Value,
  positions_BR: Value,
  tables: { cos: Value; sin: Value },
): { q: Value; k: Value; v: Value } {
  const { kvHeads, headDim } = config;
  const share = config.heads / kvHeads;
  let flat = op.fusedMatMul(x_B1D, qkv[layer]!, { transB: true });
  if (qkvBias[layer]) flat = op.add(flat, qkvBias[layer]);
  let slots_BGRE = op.reshape(flat, ["B", kvHeads, share + 2, headDim]);
  if (config.qkNorm) {
    const [q, k, v] = op.split(slots_BGRE, 2, [share, 1, 1]);
    const normed = (x: Value, name: string) =>
      op.simplifiedLayerNormalization(x, params.get(`model.layers.${layer}.self_attn.${name}_norm.weight`)!, config.rmsNormEps)[0];
    slots_BGRE = op.concat([normed(q!, "q"), normed(k!, "k"), v!], 2);
  }
  const [q, k, v] = op.split(op.rotaryEmbedding(slots_BGRE, positions_BR, tables.cos, tables.sin), 2, [share, 1, 1]);
  return { q: q!, k: k!, v: v! };
}

/** Queries [B, G, X, E] against the far cache and this chunk's keys: one softmax over both, so no copy of the far one. */
function joinedAttention(q_BGXE: Value, far: LayerCache, near: LayerCache, mask_B11S: Value): Value {
  const alpha = 1 / Math.sqrt(q_BGXE.shape[3] as number);
  const farScores = op.add(op.fusedMatMul(q_BGXE, far.k, { transB: true, alpha }), mask_B11S);
  const nearScores = op.fusedMatMul(q_BGXE, near.k, { transB: true, alpha });
  const weights = op.softmax(op.concat([farScores, nearScores], 3, "all"));
  const border = op.dimOf(far.k, 2);
  const end = q_BGXE.graph.constant({ dtype: "int64", dims: [1], data: BigInt64Array.of(2n ** 31n) });
  const farWeights = op.slice(weights, 3, 0, border, far.k.shape[2]!);
  const nearWeights = op.slice(weights, 3, border, end, near.k.shape[2]!);
  return op.add(op.matMul(farWeights, far.v), op.matMul(nearWeights, near.v));
}
