// Dimensions: N tokens of all rows together, B rows, P tokens of the row that has most, D width, H heads, G key/value heads,
// X heads per group (H/G), Q = X·P queries of a group, R = X + 2 slots per group (its queries, its key, its value), E head
// size, S cached positions, n positions that this run has read before, U = S + n + P keys.
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
import { leanResidual } from "./lean-residual.js";
import { Pass, type Residual, withLowRank } from "./pass.js";
import { constantTables, rotate, stillRow } from "./rotary.js";
import type { QueryKeyNorms, SelfAttention } from "./self-attention.js";
import type { TokenLayout } from "./token-layout.js";

/** Keys and values of one layer, [B, G, S, E] each. */
export interface LayerCache {
  readonly k: Value;
  readonly v: Value;
}

/** Where the tokens of a pass stand. */
export interface StepPlace {
  /** int64: place of each token in its row's text. */
  readonly positions_N1: Value;
  readonly layout: TokenLayout;
  /** Per layer what was cached before this run; read in place. */
  readonly far: readonly LayerCache[];
  /** Per layer the keys and values that this run has read before. */
  readonly near: readonly LayerCache[];
  /** [B, 1 or G, Q, U]: added to the scores of all keys, those of this pass the last. */
  readonly mask_BGQU: Value;
  /** int64 [B, Q, U]: how many tokens a key stands before a query; needed by layers with a window. */
  readonly distances_BQU?: Value;
  /** What an encoder has read, in an encoder-decoder's decoder. */
  readonly encoded?: EncodedPrompts;
}

/**
 * The forward pass of the next tokens of rows: what `SequencePass` computes, for rows that have read something already, each
 * as many tokens further as it likes. The tokens lie one behind another without padding, [N, 1, D]; for the attention alone
 * they are gathered row by row. Mostly that is one token per row, where each operator costs more than its arithmetic, so
 * there are as few as can be: sum and norm are one, and a small model's queries, keys and values are one product, rotated
 * together.
 */
export class StepPass extends Pass {
  readonly #place: StepPlace;
  readonly #fused: readonly FusedProjection[] | undefined;
  readonly #masks = new Map<number | undefined, Value>();
  readonly #positions = new Map<number | undefined, Value>();
  /** Per layer the keys and values that this run has read, this pass included. */
  readonly grown: LayerCache[] = [];

  /** @param fused the projections of every layer as one, of a decoder; absent: each by itself, as the model has them */
  constructor(config: ModelConfig, weights: GraphWeights, fused: readonly FusedProjection[] | undefined, place: StepPlace) {
    super(config, weights);
    this.#place = place;
    this.#fused = fused;
  }

  positions(): Value {
    return this.#place.positions_N1;
  }

  residual(x_N1D: Value): Residual {
    return leanResidual(this, x_N1D);
  }

  attention(attention: SelfAttention, x_N1D: Value): Value {
    const { heads, headDim } = this.config;
    const { layer, output, outputLayout } = attention;
    const { near, layout } = this.#place;
    const far = found(this.#place.far[layer], "the layer's cache");
    const { q, k, v } = this.#project(attention, x_N1D);
    const before = found(near[layer], "the layer's keys of this run");
    const now = { k: append(before.k, op.gather(k, layout.keys_BGP)), v: append(before.v, op.gather(v, layout.values_BGP)) };
    this.grown.push(now);
    const q_BGQE = op.gather(q, layout.queries_BGQ);
    const joined_BGQE = joinedAttention(q_BGQE, far, now, this.#mask(attention.window), attention);
    const heads_NHE = op.gather(vectors(joined_BGQE), layout.outputs_NH);
    return this.linear(output, op.reshape(heads_NHE, ["N", 1, heads * headDim]), outputLayout);
  }

  crossAttention({ layer, q, output, scale }: CrossAttention, x_N1D: Value): Value {
    const { heads, headDim } = this.config;
    const { layers, mask_B11P } = found(this.#place.encoded, "what the encoder has read");
    const { k, v } = found(layers[layer], "the prompt's keys");
    const { layout } = this.#place;
    const all = op.reshape(this.linear(q, x_N1D), ["vectors", headDim]);
    const q_BHQE = op.gather(all, layout.queries_BGQ);
    const out_BHQE = maskedAttention(q_BHQE, k, v, mask_B11P, { scale, softCap: undefined });
    return this.linear(output, op.reshape(op.gather(vectors(out_BHQE), layout.outputs_NH), ["N", 1, heads * headDim]));
  }

  /** What is added to the scores of a layer. */
  #mask(window: number | undefined): Value {
    const { mask_BGQU, distances_BQU } = this.#place;
    if (window === undefined) return mask_BGQU;
    const known = this.#masks.get(window);
    if (known) return known;
    const distances = found(distances_BQU, "the keys' distances");
    const inside = op.less(distances, distances.graph.constant(int64([window], [])));
    const mask = op.add(mask_BGQU, op.unsqueeze(op.where(inside, 0, maskedScore), [1]));
    this.#masks.set(window, mask);
    return mask;
  }

  /** Rotated queries and keys, and values, as the layout has them: [vectors, E] each, or all of them three times. */
  #project(attention: SelfAttention, x_N1D: Value): Record<"q" | "k" | "v", Value> {
    if (!this.#fused) return this.#projectApart(attention, x_N1D);
    const all = vectors(this.#slots(attention, x_N1D, this.#fused));
    return { q: all, k: all, v: all };
  }

  #projectApart(attention: SelfAttention, x_N1D: Value): Record<"q" | "k" | "v", Value> {
    const { heads, kvHeads, headDim } = this.config;
    const { norms, rotary } = attention;
    const early = norms && !norms.afterRotation;
    const turned = (flat: Value, part: "q" | "k", share: number): Value => {
      const plain = op.reshape(flat, ["N", kvHeads, share, headDim]);
      const x = early ? this.#headNorm(norms, part, plain) : plain;
      const y = rotary ? this.#rotate(x, rotary, share) : x;
      return vectors(norms && !early ? this.#headNorm(norms, part, y) : y);
    };
    const [q, k, v] = this.projected(attention, x_N1D);
    return { q: turned(q(), "q", heads / kvHeads), k: turned(k(), "k", 1), v: op.reshape(v(), ["vectors", headDim]) };
  }

  /** [N, G, R, E]: group by group its rotated queries and key, and its value. */
  #slots({ layer, norms, rotary }: SelfAttention, x_N1D: Value, all: readonly FusedProjection[]): Value {
    const { heads, kvHeads, headDim } = this.config;
    const share = heads / kvHeads;
    const { weight, bias, lowRank } = found(all[layer], "the layer's projections");
    let flat = op.fusedMatMul(x_N1D, weight, { transB: true });
    if (bias) flat = op.add(flat, bias);
    flat = withLowRank(lowRank, x_N1D, flat);
    const turned = (x: Value): Value => (rotary ? this.#rotate(x, rotary) : x);
    const normed = (x: Value): Value => {
      if (!norms) return x;
      const [q, k, v] = op.split(x, 2, [share, 1, 1]) as [Value, Value, Value];
      return op.concat([this.#headNorm(norms, "q", q), this.#headNorm(norms, "k", k), v], 2);
    };
    const slots_NGRE = op.reshape(flat, ["N", kvHeads, share + 2, headDim]);
    return norms?.afterRotation ? normed(turned(slots_NGRE)) : turned(normed(slots_NGRE));
  }

  /** Rotates x [N, G, share, E]; or all slots of each group, of which the last, its value, stays as it is. */
  #rotate(x: Value, rotary: Rotary, share?: number): Value {
    const positions = this.#positions.get(share) ?? this.#spread(share);
    this.#positions.set(share, positions);
    return rotate(x, positions, constantTables(positions.graph, this.config, rotary), rotary);
  }

  /** int64 [N, share]: the position of each token for all of its queries; or [N, R] for its slots, the value's the still row. */
  #spread(share: number | undefined): Value {
    const { positions_N1 } = this.#place;
    const { graph } = positions_N1;
    if (share === 1) return positions_N1;
    if (share !== undefined) return op.mul(positions_N1, graph.constant(int64(new Array<number>(share).fill(1))));
    const rotated = new Array<number>(this.config.heads / this.config.kvHeads + 1);
    const positions_NR = op.mul(positions_N1, graph.constant(int64([...rotated.fill(1), 0])));
    const still = stillRow(this.config);
    return still === 0 ? positions_NR : op.add(positions_NR, graph.constant(int64([...rotated.fill(0), still])));
  }

  /** The norm of the queries [N, G, X, E] or keys [N, G, 1, E] of all groups. */
  #headNorm(norms: QueryKeyNorms, part: "q" | "k", x: Value): Value {
    const name = norms[part];
    if (norms.over === "head") return this.norm(name, x);
    const [, groups, share, size] = x.shape as [string, number, number, number];
    if (norms.over === "eachHead") return this.eachHeadNorm(name, x, [groups, share, size]);
    return op.reshape(this.norm(name, op.reshape(x, ["N", 1, groups * share * size])), x.shape);
  }
}

/** `now` behind `before` along the positions. */
const append = (before: Value, now: Value): Value => op.concat([before, now], 2, `${before.shape[2]}+`);

/** Heads' vectors, x […, E], one behind another. */
const vectors = (x: Value): Value => op.reshape(x, ["vectors", found(x.shape.at(-1), "the head's size")]);

/** Queries [B, G, Q, E] against the far cache and this run's keys: one softmax over both, so no copy of the far one. */
function joinedAttention(q_BGQE: Value, far: LayerCache, near: LayerCache, mask: Value, { scale, softCap }: ScoreForm): Value {
  const scores = (k: Value): Value => {
    const products = op.fusedMatMul(q_BGQE, k, { transB: true, alpha: scale });
    return softCap === undefined ? products : op.softCap(products, softCap);
  };
  const weights = op.softmax(op.add(op.concat([scores(far.k), scores(near.k)], 3, "U"), mask));
  const border = op.dimOf(far.k, 2);
  const end = q_BGQE.graph.constant(int64([2 ** 31]));
  const farWeights = op.slice(weights, 3, 0, border, found(far.k.shape[2], "the cache's length"));
  const nearWeights = op.slice(weights, 3, border, end, found(near.k.shape[2], "the run's length"));
  return op.add(op.matMul(farWeights, far.v), op.matMul(nearWeights, near.v));
}
