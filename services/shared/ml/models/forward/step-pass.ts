// Dimensions: B batch rows, D width, H heads, G key/value heads, X heads per group (H/G), R = X + 2 slots per group
// (its queries, its key, its value), E head size, S cached positions, n positions of this chunk.
import type { Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import type { ModelConfig } from "../config/model-config.js";
import type { GraphWeights } from "../graph-weights.js";
import type { FusedProjection } from "./fused-projections.js";
import { Pass, type Residual, type SelfAttention } from "./pass.js";
import { constantTables, type RotaryTables } from "./rotary.js";

/** Keys and values of one layer, [B, G, S, E] each. */
export interface LayerCache {
  readonly k: Value;
  readonly v: Value;
}

/** Where a pass of one token per row stands. */
export interface StepPlace {
  /** int64 [B, R]: rotary position of each slot; 0 for the value's, which the rotation then leaves as it is. */
  readonly positions_BR: Value;
  /** Per layer what was cached before this chunk; read in place. */
  readonly far: readonly LayerCache[];
  /** Per layer the keys and values of this chunk so far. */
  readonly near: readonly LayerCache[];
  /** [B, 1, 1, S]: 0 where the far cache holds a token, else the masked score. */
  readonly mask_B11S: Value;
}

/**
 * The forward pass of one token per row: what `SequencePass` computes for T = 1, with as few operators as can be, since at
 * this size each costs more than its arithmetic. One product makes queries, keys and values; laid out group by group they
 * are rotated together without a transpose; sum and norm are one operator.
 */
export class StepPass extends Pass {
  readonly #place: StepPlace;
  readonly #fused: readonly FusedProjection[];
  readonly #tables: RotaryTables<Value>;
  /** Per layer the keys and values of this chunk, this token's included. */
  readonly grown: LayerCache[] = [];

  constructor(config: ModelConfig, weights: GraphWeights, fused: readonly FusedProjection[], place: StepPlace) {
    super(config, weights);
    this.#place = place;
    this.#fused = fused;
    this.#tables = constantTables(place.positions_BR.graph, config);
  }

  residual(x_B1D: Value): Residual {
    let sum_B1D = x_B1D;
    // Added by the norm that reads the sum next.
    let update_B1D: Value | undefined;
    return {
      add: (update) => {
        if (update_B1D) sum_B1D = op.add(sum_B1D, update_B1D);
        update_B1D = update;
      },
      rmsNorm: (name) => {
        if (!update_B1D) return this.rmsNorm(name, sum_B1D);
        const scale = this.weights.weight(`${name}.weight`);
        const [normed, sum] = op.skipSimplifiedLayerNormalization(sum_B1D, update_B1D, scale, this.config.rmsNormEps);
        sum_B1D = sum;
        update_B1D = undefined;
        return normed;
      },
    };
  }

  attention(attention: SelfAttention, x_B1D: Value): Value {
    const { heads, headDim } = this.config;
    const { layer, name } = attention;
    const { far, near, mask_B11S } = this.#place;
    const { q, k, v } = this.#project(attention, x_B1D);
    const now = { k: append(near[layer]!.k, k), v: append(near[layer]!.v, v) };
    this.grown.push(now);
    const joined = joinedAttention(q, far[layer]!, now, mask_B11S);
    return this.linear(`${name}.o_proj`, op.reshape(joined, ["B", 1, heads * headDim]));
  }

  /** Rotated queries [B, G, X, E] and keys [B, G, 1, E], and values [B, G, 1, E]. */
  #project({ layer, name, qkNorm }: SelfAttention, x_B1D: Value): { q: Value; k: Value; v: Value } {
    const { heads, kvHeads, headDim } = this.config;
    const share = heads / kvHeads;
    const { weight, bias } = this.#fused[layer]!;
    let flat = op.fusedMatMul(x_B1D, weight, { transB: true });
    if (bias) flat = op.add(flat, bias);
    let slots_BGRE = op.reshape(flat, ["B", kvHeads, share + 2, headDim]);
    const parts = (x: Value) => op.split(x, 2, [share, 1, 1]) as [Value, Value, Value];
    if (qkNorm) {
      const [q, k, v] = parts(slots_BGRE);
      slots_BGRE = op.concat([this.rmsNorm(`${name}.q_norm`, q), this.rmsNorm(`${name}.k_norm`, k), v], 2);
    }
    const { cos, sin } = this.#tables;
    const [q, k, v] = parts(op.rotaryEmbedding(slots_BGRE, this.#place.positions_BR, cos, sin));
    return { q, k, v };
  }
}

/** `now` behind `before` along the positions. */
export const append = (before: Value, now: Value): Value => op.concat([before, now], 2, `${before.shape[2]}+`);

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
