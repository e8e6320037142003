// Dimensions: B batch rows, D width, H heads, G key/value heads, X heads per group (H/G), R = X + 2 slots per group
// (its queries, its key, its value), E head size, S cached positions, n positions of this chunk, P positions of a prompt.
import { found } from "../../../base/found.js";
import type { Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { int64 } from "../../graph/tensor.js";
import type { ModelConfig } from "../config/model-config.js";
import type { Rotary } from "../config/rope.js";
import type { GraphWeights } from "../graph-weights.js";
import { maskedAttention, maskedScore, type ScoreForm } from "./attention.js";
import type { CrossAttention, EncodedPrompts } from "./cross-attention.js";
import type { FusedProjection } from "./fused-projections.js";
import { Pass, type Residual, withLowRank } from "./pass.js";
import { constantTables, rotate } from "./rotary.js";
import type { QueryKeyNorms, SelfAttention } from "./self-attention.js";

/** Keys and values of one layer, [B, G, S, E] each. */
export interface LayerCache {
  readonly k: Value;
  readonly v: Value;
}

/** Where a pass of one token per row stands. */
export interface StepPlace {
  /** int64 [B, R]: rotary position of each slot; for the value's the row that leaves it as it is (`stillRow`). */
  readonly positions_BR: Value;
  /** Per layer what was cached before this chunk; read in place. */
  readonly far: readonly LayerCache[];
  /** Per layer the keys and values of this chunk so far. */
  readonly near: readonly LayerCache[];
  /** [B, 1, 1, S]: 0 where the far cache holds a token, else the masked score; absent where it holds tokens only. */
  readonly mask_B11S?: Value;
  /** [1, H, 1, S + n + 1]: added to the scores of all keys, this token's own the last. */
  readonly bias_1H1A?: Value;
  /** What an encoder has read, in an encoder-decoder's decoder. */
  readonly encoded?: EncodedPrompts;
  /** How many tokens back each key is; needed by layers with a window. */
  readonly distances?: KeyDistances;
}

/** How many tokens before this one a key stands, int64. */
export interface KeyDistances {
  /** [B, 1, 1, S] */
  readonly far_B11S: Value;
  /** [n + 1]: those of this chunk, this token's own 0 included. */
  readonly near_N: Value;
}

/**
 * The forward pass of one token per row: what `SequencePass` computes for T = 1, with as few operators as can be, since at
 * this size each costs more than its arithmetic. One product makes queries, keys and values; laid out group by group they
 * are rotated together without a transpose; sum and norm are one operator.
 */
export class StepPass extends Pass {
  readonly #place: StepPlace;
  readonly #fused: readonly FusedProjection[];
  readonly #windows = new Map<number, Masks>();
  /** Per layer the keys and values of this chunk, this token's included. */
  readonly grown: LayerCache[] = [];

  constructor(config: ModelConfig, weights: GraphWeights, fused: readonly FusedProjection[], place: StepPlace) {
    super(config, weights);
    this.#place = place;
    this.#fused = fused;
  }

  positions(): Value {
    return op.slice(this.#place.positions_BR, 1, 0, 1, 1);
  }

  residual(x_B1D: Value): Residual {
    let sum_B1D = x_B1D;
    // Added by the norm that reads the sum next.
    let update_B1D: Value | undefined;
    const read = () => {
      if (update_B1D) sum_B1D = op.add(sum_B1D, update_B1D);
      update_B1D = undefined;
      return sum_B1D;
    };
    return {
      add: (update) => {
        if (update_B1D) sum_B1D = op.add(sum_B1D, update_B1D);
        update_B1D = update;
      },
      norm: (name) => {
        if (!update_B1D || this.config.norm === "layer") return this.norm(name, read());
        const [normed, sum] = op.skipSimplifiedLayerNormalization(sum_B1D, update_B1D, this.normScale(name), this.config.normEps);
        sum_B1D = sum;
        update_B1D = undefined;
        return normed;
      },
      read,
    };
  }

  attention(attention: SelfAttention, x_B1D: Value): Value {
    const { heads, headDim } = this.config;
    const { layer, output, outputLayout } = attention;
    const { near } = this.#place;
    const far = found(this.#place.far[layer], "the layer's cache");
    const { q, k, v } = this.#project(attention, x_B1D);
    const before = found(near[layer], "the layer's keys of this chunk");
    const now = { k: append(before.k, k), v: append(before.v, v) };
    this.grown.push(now);
    const joined = joinedAttention(q, far, now, this.#masks(attention.window), attention);
    return this.linear(output, op.reshape(joined, ["B", 1, heads * headDim]), outputLayout);
  }

  crossAttention({ layer, q, output, scale }: CrossAttention, x_B1D: Value): Value {
    const { heads, headDim } = this.config;
    const { layers, mask_B11P } = found(this.#place.encoded, "what the encoder has read");
    const { k, v } = found(layers[layer], "the prompt's keys");
    const q_BH1E = op.reshape(this.linear(q, x_B1D), ["B", heads, 1, headDim]);
    const out_BH1E = maskedAttention(q_BH1E, k, v, mask_B11P, { scale, softCap: undefined });
    return this.linear(output, op.reshape(out_BH1E, ["B", 1, heads * headDim]));
  }

  #masks(window: number | undefined): Masks {
    const { mask_B11S, bias_1H1A, distances } = this.#place;
    if (window === undefined) return { far_B11S: mask_B11S, all_1H1A: bias_1H1A };
    const known = this.#windows.get(window);
    if (known) return known;
    const { far_B11S, near_N } = found(distances, "the keys' distances");
    const beyond = (distance: Value) => op.where(op.less(distance, distance.graph.constant(int64([window], []))), 0, maskedScore);
    const far = beyond(far_B11S);
    const masks = { far_B11S: mask_B11S ? op.add(mask_B11S, far) : far, near_N: beyond(near_N), all_1H1A: bias_1H1A };
    this.#windows.set(window, masks);
    return masks;
  }

  /** Rotated queries [B, G, X, E] and keys [B, G, 1, E], and values [B, G, 1, E]. */
  #project({ layer, norms, rotary }: SelfAttention, x_B1D: Value): Record<"q" | "k" | "v", Value> {
    const { heads, kvHeads, headDim } = this.config;
    const share = heads / kvHeads;
    const { weight, bias, lowRank } = found(this.#fused[layer], "the layer's projections");
    let flat = op.fusedMatMul(x_B1D, weight, { transB: true });
    if (bias) flat = op.add(flat, bias);
    flat = withLowRank(lowRank, x_B1D, flat);
    const slots_BGRE = op.reshape(flat, ["B", kvHeads, share + 2, headDim]);
    const parts = (x: Value): Record<"q" | "k" | "v", Value> => {
      const [q, k, v] = op.split(x, 2, [share, 1, 1]) as [Value, Value, Value];
      return { q, k, v };
    };
    const early = norms && !norms.afterRotation;
    const { q, k, v } = parts(rotary && !early ? this.#rotate(slots_BGRE, rotary) : slots_BGRE);
    if (!norms) return { q, k, v };
    const normed = { q: this.#headNorm(norms, "q", q), k: this.#headNorm(norms, "k", k), v };
    if (!early) return normed;
    return rotary ? parts(this.#rotate(op.concat([normed.q, normed.k, v], 2), rotary)) : normed;
  }

  #rotate(slots_BGRE: Value, rotary: Rotary): Value {
    const { positions_BR } = this.#place;
    return rotate(slots_BGRE, positions_BR, constantTables(positions_BR.graph, this.config, rotary), rotary);
  }

  /** The norm of the queries [B, G, X, E] or keys [B, G, 1, E] of all groups. */
  #headNorm(norms: QueryKeyNorms, part: "q" | "k", x: Value): Value {
    const name = norms[part];
    if (norms.over === "head") return this.norm(name, x);
    const [, groups, share, size] = x.shape as [string, number, number, number];
    if (norms.over === "eachHead") return this.eachHeadNorm(name, x, [groups, share, size]);
    return op.reshape(this.norm(name, op.reshape(x, ["B", 1, groups * share * size])), x.shape);
  }
}

/** What is added to scores. */
interface Masks {
  readonly far_B11S?: Value | undefined;
  /** Where a window may end within this chunk. */
  readonly near_N?: Value;
  readonly all_1H1A?: Value | undefined;
}

/** `now` behind `before` along the positions. */
export const append = (before: Value, now: Value): Value => op.concat([before, now], 2, `${before.shape[2]}+`);

/** Queries [B, G, X, E] against the far cache and this chunk's keys: one softmax over both, so no copy of the far one. */
function joinedAttention(q_BGXE: Value, far: LayerCache, near: LayerCache, masks: Masks, { scale, softCap }: ScoreForm): Value {
  const scores = (k: Value): Value => {
    const products = op.fusedMatMul(q_BGXE, k, { transB: true, alpha: scale });
    return softCap === undefined ? products : op.softCap(products, softCap);
  };
  const farScores = masks.far_B11S ? op.add(scores(far.k), masks.far_B11S) : scores(far.k);
  const nearScores = masks.near_N ? op.add(scores(near.k), masks.near_N) : scores(near.k);
  const both = op.concat([farScores, nearScores], 3, "all");
  const weights = op.softmax(masks.all_1H1A ? op.add(both, masks.all_1H1A) : both);
  const border = op.dimOf(far.k, 2);
  const end = q_BGXE.graph.constant(int64([2 ** 31]));
  const farWeights = op.slice(weights, 3, 0, border, found(far.k.shape[2], "the cache's length"));
  const nearWeights = op.slice(weights, 3, border, end, found(near.k.shape[2], "the chunk's length"));
  return op.add(op.matMul(farWeights, far.v), op.matMul(nearWeights, near.v));
}
