// Dimensions: D width, G key/value heads, X heads per group, R = X + 2 slots per group, E head size.
import type { Graph, Value } from "../../graph/graph.js";
import { float32, type Tensor, transposed } from "../../graph/tensor.js";
import type { ModelConfig } from "../config/model-config.js";
import type { LowRank } from "../graph-weights.js";
import { type Weights, weightOf } from "../param-spec.js";
import type { SelfAttention } from "./self-attention.js";

/** A layer's query, key and value projections as one, for the pass of one token. */
export interface FusedProjection {
  /** [G·R·E, D]: queries, key and value of one group after another. */
  readonly weight: Value;
  /** [G·R·E], where the model has these biases. */
  readonly bias: Value | undefined;
  /** What an adapter adds to it. */
  readonly lowRank?: LowRank | undefined;
}

type Part = "weight" | "bias";

/** Name of a layer's fused projection in feeds. */
const fusedName = (part: Part, layer: number): string => `step.qkv.${part}.${layer}`;

const partsOf = ({ bias }: SelfAttention): readonly Part[] => (bias ? ["weight", "bias"] : ["weight"]);

/** The fused projections of every layer by name: what a graph with weights as inputs is fed beside the model's own. */
export function fuseProjections(config: ModelConfig, weights: Weights, attentions: readonly SelfAttention[]): Weights {
  const named = attentions.flatMap((attention) =>
    partsOf(attention).map((part) => [fusedName(part, attention.layer), groupedProjection(config, weights, attention, part)] as const),
  );
  return new Map(named);
}

/** Declares the fused projections of every layer, as constants with the given weights or as inputs. */
export function declareFused(
  graph: Graph,
  config: ModelConfig,
  as: Weights | "inputs",
  attentions: readonly SelfAttention[],
): FusedProjection[] {
  const declare = (attention: SelfAttention, part: Part): Value => {
    const name = fusedName(part, attention.layer);
    if (as === "inputs") return graph.input(name, "float32", dimsOf(config, part));
    return graph.initializer(name, groupedProjection(config, as, attention, part));
  };
  const weights = attentions.map((attention) => declare(attention, "weight"));
  const biases = attentions.map((attention) => (attention.bias ? declare(attention, "bias") : undefined));
  return weights.map((weight, layer) => ({ weight, bias: biases[layer] }));
}

function dimsOf({ heads, kvHeads, headDim, hiddenSize }: ModelConfig, part: Part): number[] {
  const rows = (heads + 2 * kvHeads) * headDim;
  return part === "weight" ? [rows, hiddenSize] : [rows];
}

/** The rows of the q, k and v projections in the order group by group: X query heads, the key head, the value head. */
function groupedProjection(config: ModelConfig, weights: Weights, attention: SelfAttention, part: Part): Tensor<"float32"> {
  const { heads, kvHeads, headDim, hiddenSize } = config;
  const share = heads / kvHeads;
  const headSize = headDim * (part === "weight" ? hiddenSize : 1);
  const { q, k, v } = rowsOf(config, weights, attention, part);
  const out = new Float32Array((heads + 2 * kvHeads) * headSize);
  for (let group = 0; group < kvHeads; group++) {
    const at = group * (share + 2) * headSize;
    out.set(q.subarray(group * share * headSize, (group + 1) * share * headSize), at);
    out.set(k.subarray(group * headSize, (group + 1) * headSize), at + share * headSize);
    out.set(v.subarray(group * headSize, (group + 1) * headSize), at + (share + 1) * headSize);
  }
  return float32(out, dimsOf(config, part));
}

/** The rows of queries [H·E, D], keys and values [G·E, D], or their biases [H·E], [G·E]. */
function rowsOf(
  { heads, kvHeads, headDim, hiddenSize }: ModelConfig,
  weights: Weights,
  { projection }: SelfAttention,
  part: Part,
): Record<"q" | "k" | "v", Float32Array> {
  const partOf = (name: string) => weightOf(weights, `${name}.${part}`);
  const dataOf = (name: string) => partOf(name).data;
  if (projection.kind === "apart") return { q: dataOf(projection.q), k: dataOf(projection.k), v: dataOf(projection.v) };
  const headSize = headDim * (part === "weight" ? hiddenSize : 1);
  const stored = partOf(projection.name);
  if (projection.kind === "stacked") {
    const { data } = projection.layout === "inOut" && part === "weight" ? transposed(stored) : stored;
    const [keys, values] = [heads * headSize, (heads + kvHeads) * headSize];
    return { q: data.subarray(0, keys), k: data.subarray(keys, values), v: data.subarray(values) };
  }
  const part3 = (place: number) => {
    const rows = new Float32Array(heads * headSize);
    for (let head = 0; head < heads; head++)
      rows.set(stored.data.subarray((3 * head + place) * headSize, (3 * head + place + 1) * headSize), head * headSize);
    return rows;
  };
  return { q: part3(0), k: part3(1), v: part3(2) };
}
