// Dimensions: D width, G key/value heads, X heads per group, R = X + 2 slots per group, E head size.
import { found } from "../../../base/found.js";
import type { Graph, Value } from "../../graph/graph.js";
import { float32, sizeOf, type Tensor, transposed } from "../../graph/tensor.js";
import type { ModelConfig } from "../config/model-config.js";
import { type Constants, inMemory } from "../constants.js";
import type { LowRank } from "../graph-weights.js";
import type { Weights } from "../param-spec.js";
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

/** What a linear layer has. */
export type Part = "weight" | "bias";

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

/** Names of the weights that fused projections are made of: a graph that has these reads none of them. */
export const fusedSources = (config: ModelConfig, attentions: readonly SelfAttention[]): ReadonlySet<string> =>
  new Set(
    attentions.flatMap((attention) =>
      partsOf(attention).flatMap((part) => sourcesOf(config, attention).map(({ name }) => `${name}.${part}`)),
    ),
  );

/** Declares the fused projections of every layer, as constants with the given weights or as inputs. */
export function declareFused(
  graph: Graph,
  config: ModelConfig,
  as: Constants | "inputs",
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

/** Rows of the fused projection, G·R·E. */
export const fusedRows = ({ heads, kvHeads, headDim }: ModelConfig): number => (heads + 2 * kvHeads) * headDim;

const dimsOf = (config: ModelConfig, part: Part): number[] =>
  part === "weight" ? [fusedRows(config), config.hiddenSize] : [fusedRows(config)];

/** The rows of a layer's projections, or their biases, in the order of the fused one. */
function groupedProjection(
  config: ModelConfig,
  weights: Constants,
  attention: SelfAttention,
  part: Part,
  place: (row: number) => number = (row) => row,
): Tensor<"float32"> {
  const dims = dimsOf(config, part);
  const { projection } = attention;
  const width = part === "weight" ? config.hiddenSize : 1;
  const out = new Float32Array(sizeOf(dims));
  for (const { name, at } of sourcesOf(config, attention)) {
    const stored = inMemory(found(weights.get(`${name}.${part}`), `weight ${name}.${part}`));
    const lies = part === "weight" && projection.kind === "stacked" && projection.layout === "inOut" ? transposed(stored) : stored;
    placeRows(out, width, 0, lies.data, width, (n) => place(at(n)));
  }
  return float32(out, dims);
}

/**
 * A layer's projection as the runtime's kernel of attention takes it, or its bias: all heads of queries, then of keys, then of
 * values: [(H + 2G)·E, D] or [(H + 2G)·E].
 */
export function packedProjection(config: ModelConfig, weights: Constants, attention: SelfAttention, part: Part): Tensor<"float32"> {
  const { heads, kvHeads, headDim } = config;
  const share = heads / kvHeads;
  return groupedProjection(config, weights, attention, part, (row) => {
    const slot = Math.floor(row / headDim);
    const [group, place] = [Math.floor(slot / (share + 2)), slot % (share + 2)];
    const head = place < share ? group * share + place : place === share ? heads + group : heads + kvHeads + group;
    return head * headDim + (row % headDim);
  });
}

/** A linear layer that makes queries, keys or values, or all of them. */
export interface Source {
  readonly name: string;
  /** Where the fused projection has the layer's row n. */
  readonly at: (n: number) => number;
}

/** The linear layers of a layer's attention, and where the fused projection has their rows: group by group X query heads, the key head, the value head. */
export function sourcesOf(config: ModelConfig, { projection }: SelfAttention): Source[] {
  const [q, k, v] = (["q", "k", "v"] as const).map((part) => groupedRow(config, part)) as [Source["at"], Source["at"], Source["at"]];
  if (projection.kind === "apart")
    return [
      { name: projection.q, at: q },
      { name: projection.k, at: k },
      { name: projection.v, at: v },
    ];
  // Head by head query, key and value: as the fused one, where every head has keys of its own.
  if (projection.kind === "byHead") return [{ name: projection.name, at: (n) => n }];
  const [keys, values] = [config.heads * config.headDim, (config.heads + config.kvHeads) * config.headDim];
  return [{ name: projection.name, at: (n) => (n < keys ? q(n) : n < values ? k(n - keys) : v(n - values)) }];
}

/** Where the fused projection has row n of the queries, keys or values. */
function groupedRow({ heads, kvHeads, headDim }: ModelConfig, part: "q" | "k" | "v"): Source["at"] {
  const share = heads / kvHeads;
  const size = (part === "q" ? share : 1) * headDim;
  const first = { q: 0, k: share, v: share + 1 }[part] * headDim;
  return (n) => Math.floor(n / size) * (share + 2) * headDim + first + (n % size);
}

/** Copies the rows of `from` [N, width] to `into` [M, columns]: row n to row at(n), from a column on. */
export function placeRows(into: Float32Array, columns: number, column: number, from: Float32Array, width: number, at: Source["at"]): void {
  for (let n = 0; n * width < from.length; n++) into.set(from.subarray(n * width, (n + 1) * width), at(n) * columns + column);
}
