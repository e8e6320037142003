// Dimensions: D width, G key/value heads, X heads per group, R = X + 2 slots per group, E head size, Q ranks of a layer together.
import type { Graph } from "../../graph/graph.js";
import { float32 } from "../../graph/tensor.js";
import type { ModelConfig } from "../config/model-config.js";
import type { LowRank } from "../graph-weights.js";
import { factorNames, type Lora, loraScale } from "../lora.js";
import { type Weights, weightOf } from "../param-spec.js";
import type { SelfAttention } from "./pass.js";

const parts = ["q", "k", "v"] as const;

/** Names of a layer's fused factors in feeds. */
const fusedName = (part: "A" | "B", layer: number): string => `step.qkv.lora_${part}.${layer}`;

/** The projections of a layer's queries, keys and values that an adapter changes. */
const adaptedParts = ({ layers }: Lora, { name }: SelfAttention) => parts.filter((part) => layers.includes(`${name}.${part}_proj`));

const rowsOf = ({ heads, kvHeads, headDim }: ModelConfig): number => (heads + 2 * kvHeads) * headDim;

/** Declares, as inputs, what an adapter adds to the fused projection of every layer; undefined where it adds nothing. */
export function declareFusedFactors(
  graph: Graph,
  config: ModelConfig,
  lora: Lora | undefined,
  attentions: readonly SelfAttention[],
): (LowRank | undefined)[] {
  return attentions.map((attention) => {
    const ranks = lora ? adaptedParts(lora, attention).length * lora.r : 0;
    if (!lora || ranks === 0) return undefined;
    return {
      a: graph.input(fusedName("A", attention.layer), "float32", [ranks, config.hiddenSize]),
      b: graph.input(fusedName("B", attention.layer), "float32", [rowsOf(config), ranks]),
      scale: loraScale(lora),
    };
  });
}

/**
 * The fused factors of every layer by name: A [Q, D] of queries, keys and values one behind the other, and B [G·R·E, Q] with
 * the rows in the order of the fused projection, zero where a row's projection does not read a column.
 */
export function fuseFactors(config: ModelConfig, lora: Lora, factors: Weights, attentions: readonly SelfAttention[]): Weights {
  return new Map(
    attentions.flatMap((attention) => {
      const adapted = adaptedParts(lora, attention);
      const ranks = adapted.length * lora.r;
      if (ranks === 0) return [];
      const a = new Float32Array(ranks * config.hiddenSize);
      const b = new Float32Array(rowsOf(config) * ranks);
      for (const [i, part] of adapted.entries()) {
        const names = factorNames(`${attention.name}.${part}_proj`);
        a.set(weightOf(factors, names.a).data, i * lora.r * config.hiddenSize);
        placeRows(b, ranks, i * lora.r, weightOf(factors, names.b).data, lora.r, groupedRow(config, part));
      }
      return [
        [fusedName("A", attention.layer), float32(a, [ranks, config.hiddenSize])] as const,
        [fusedName("B", attention.layer), float32(b, [rowsOf(config), ranks])] as const,
      ];
    }),
  );
}

/** Copies the rows of `from` [N, width] to `into` [M, ranks]: row n to row at(n), from a column on. */
function placeRows(into: Float32Array, ranks: number, column: number, from: Float32Array, width: number, at: (n: number) => number): void {
  for (let n = 0; n * width < from.length; n++) into.set(from.subarray(n * width, (n + 1) * width), at(n) * ranks + column);
}

/** Where the fused projection has row n of a projection. */
function groupedRow({ heads, kvHeads, headDim }: ModelConfig, part: (typeof parts)[number]): (n: number) => number {
  const share = heads / kvHeads;
  const size = (part === "q" ? share : 1) * headDim;
  const first = { q: 0, k: share, v: share + 1 }[part] * headDim;
  return (n) => Math.floor(n / size) * (share + 2) * headDim + first + (n % size);
}
