// Dimensions: D width, G key/value heads, X heads per group, R = X + 2 slots per group, E head size, Q ranks of a layer together.
import type { Graph } from "../../graph/graph.js";
import { float32 } from "../../graph/tensor.js";
import type { ModelConfig } from "../config/model-config.js";
import type { LowRank } from "../graph-weights.js";
import { factorNames, type Lora, loraScale } from "../lora.js";
import { type Weights, weightOf } from "../param-spec.js";
import { fusedRows, placeRows, type Source, sourcesOf } from "./fused-projections.js";
import type { SelfAttention } from "./self-attention.js";

/** Names of a layer's fused factors in feeds. */
const fusedName = (part: "A" | "B", layer: number): string => `step.qkv.lora_${part}.${layer}`;

const adaptedSources = (config: ModelConfig, { layers }: Lora, attention: SelfAttention): Source[] =>
  sourcesOf(config, attention).filter(({ name }) => layers.includes(name));

/** Declares, as inputs, what an adapter adds to the fused projection of every layer; undefined where it adds nothing. */
export function declareFusedFactors(
  graph: Graph,
  config: ModelConfig,
  lora: Lora | undefined,
  attentions: readonly SelfAttention[],
): (LowRank | undefined)[] {
  return attentions.map((attention) => {
    const ranks = lora ? adaptedSources(config, lora, attention).length * lora.r : 0;
    if (!lora || ranks === 0) return undefined;
    return {
      a: graph.input(fusedName("A", attention.layer), "float32", [ranks, config.hiddenSize]),
      b: graph.input(fusedName("B", attention.layer), "float32", [fusedRows(config), ranks]),
      scale: loraScale(lora),
    };
  });
}

/**
 * The fused factors of every layer by name: A [Q, D] of the adapted linear layers one behind the other, and B [G·R·E, Q] with
 * the rows in the order of the fused projection, zero where a row's layer does not read a column.
 */
export function fuseFactors(config: ModelConfig, lora: Lora, factors: Weights, attentions: readonly SelfAttention[]): Weights {
  return new Map(
    attentions.flatMap((attention) => {
      const adapted = adaptedSources(config, lora, attention);
      const ranks = adapted.length * lora.r;
      if (ranks === 0) return [];
      const a = new Float32Array(ranks * config.hiddenSize);
      const b = new Float32Array(fusedRows(config) * ranks);
      for (const [i, { name, at }] of adapted.entries()) {
        const names = factorNames(name);
        a.set(weightOf(factors, names.a).data, i * lora.r * config.hiddenSize);
        placeRows(b, ranks, i * lora.r, weightOf(factors, names.b).data, lora.r, at);
      }
      return [
        [fusedName("A", attention.layer), float32(a, [ranks, config.hiddenSize])] as const,
        [fusedName("B", attention.layer), float32(b, [fusedRows(config), ranks])] as const,
      ];
    }),
  );
}
