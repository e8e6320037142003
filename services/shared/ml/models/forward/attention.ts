// Dimensions: B batch, T position of queries, U of keys, H heads, G key/value heads, E head size.
import type { Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { int64 } from "../../graph/tensor.js";
import type { SelfAttention } from "./self-attention.js";

/** Added to the scores of positions that must not be seen. Finite, so that a fully masked row stays finite. */
export const maskedScore = -1e9;

/** One layer's queries, keys and values, rotated, and how they meet. */
export interface AttentionInputs extends Pick<SelfAttention, "layer" | "scale" | "softCap" | "window"> {
  /** [B, H, T, E] */
  readonly q: Value;
  /** [B, G, T, E] */
  readonly k: Value;
  /** [B, G, T, E] */
  readonly v: Value;
}

/** Over what queries meet keys: the caller's choice (plain and causal, or against a cache). Returns [B, H, T, E]. */
export type Attention = (inputs: AttentionInputs) => Value;

/**
 * Plain causal attention from differentiable operators: softmax(q kᵀ · scale + mask) v.
 *
 * Rows are right-padded, so the causal mask alone keeps padding out of every real position.
 *
 * @param bias_1HTT added to the scores of every layer
 */
export function causalAttention(bias_1HTT?: Value): Attention {
  const masks = new Map<number | undefined, Value>();
  return ({ q, k, v, window, ...form }) => {
    const mask = masks.get(window) ?? biased(causalMask(q, q.shape[2] as string, window), bias_1HTT);
    masks.set(window, mask);
    return maskedAttention(q, k, v, mask, form);
  };
}

const biased = (mask: Value, bias: Value | undefined): Value => (bias ? op.add(mask, bias) : mask);

/** How scores come of products. */
export type ScoreForm = Pick<SelfAttention, "scale" | "softCap">;

/**
 * softmax(q kᵀ · scale + mask) v: q [B, H, T, E] against k and v [B, G, U, E], which may be longer; `mask` broadcasts to
 * [B, H, T, U]. Gives [B, H, T, E].
 *
 * Heads that share keys and values are stacked along the position axis, so that neither is repeated in memory.
 */
export function maskedAttention(q: Value, k: Value, v: Value, mask: Value, { scale, softCap }: ScoreForm): Value {
  const [batch, heads, time, size] = q.shape as [string, number, string, number];
  const [, groups, keys] = k.shape as [string, number, string];
  const share = heads / groups;
  const q_BGXE = share === 1 ? q : op.reshape(q, [batch, groups, `${share}${time}`, size]);
  let scores = op.fusedMatMul(q_BGXE, k, { transB: true, alpha: scale });
  if (softCap !== undefined) scores = op.softCap(scores, softCap);
  if (share > 1)
    scores = op.reshape(scores, [batch, heads, time, keys], op.concat([op.dimOf(q, 0), op.dimOf(q, 1), op.dimOf(q, 2), op.dimOf(k, 2)], 0));
  let weights = op.softmax(op.add(scores, mask));
  if (share > 1)
    weights = op.reshape(
      weights,
      [batch, groups, `${share}${time}`, keys],
      op.concat([op.dimOf(k, 0), op.dimOf(k, 1), op.mul(op.dimOf(q, 2), q.graph.constant(int64([share]))), op.dimOf(k, 2)], 0),
    );
  const out = op.matMul(weights, v);
  return share === 1 ? out : op.reshape(out, [batch, heads, time, size], op.shapeOf(q));
}

/** [T, T]: 0 where column ≤ row, and less than `window` before it, else the masked score. */
function causalMask(q: Value, time: string, window: number | undefined): Value {
  const length = op.dimOf(q, 2);
  if (window !== undefined) return windowMask(length, time, window);
  const square = op.concat([length, length], 0);
  const ones = op.constantOfShape(square, [time, time], { dtype: "float32", dims: [1], data: Float32Array.of(1) });
  // Strictly above the diagonal: shift by excluding the diagonal itself.
  return op.mul(op.sub(op.trilu(ones, true), op.mul(op.trilu(ones, true), op.trilu(ones, false))), maskedScore);
}

function windowMask(length: Value, time: string, window: number): Value {
  const places_T = op.iota(length, time);
  return maskOfDistance(op.sub(op.unsqueeze(places_T, [1]), op.unsqueeze(places_T, [0])), window);
}

/** 0 where a key is from 0 to `window` − 1 places before its query, else the masked score. @param distance int64, query less key */
export function maskOfDistance(distance: Value, window: number | undefined): Value {
  const integer = (x: number) => distance.graph.constant(int64([x], []));
  const before = op.greaterOrEqual(distance, integer(0));
  return op.where(window === undefined ? before : op.and(before, op.less(distance, integer(window))), 0, maskedScore);
}
