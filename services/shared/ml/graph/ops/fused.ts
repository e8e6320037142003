import { type Attributes, type Dim, graphOf, Value } from "../graph.js";

const contrib = "com.microsoft";

/**
 * Root-mean-square norm over the last axis: y = x / sqrt(mean(x²) + epsilon) · scale.
 * The second result is 1 / sqrt(mean(x²) + epsilon), with the last axis kept as 1; the gradient needs it.
 */
export function simplifiedLayerNormalization(x: Value, scale: Value, epsilon: number): readonly [y: Value, inverseRms: Value] {
  const outputs = [
    { dtype: x.dtype, shape: x.shape },
    { dtype: "float32" as const, shape: [...x.shape.slice(0, -1), 1] },
  ];
  const attributes = { axis: -1, epsilon: { float: epsilon }, stash_type: 1 };
  const made = graphOf(x, scale).node("SimplifiedLayerNormalization", [x, scale], outputs, attributes);
  return [made[0]!, made[1]!];
}

/**
 * Sum and norm in one pass: s = x + skip, y = s / sqrt(mean(s²) + epsilon) · scale over the last axis.
 * x and skip are [B, T, D]. No gradient: the plain pair add + simplifiedLayerNormalization has one.
 */
export function skipSimplifiedLayerNormalization(x: Value, skip: Value, scale: Value, epsilon: number): readonly [y: Value, sum: Value] {
  const same = { dtype: x.dtype, shape: x.shape };
  const inverse = { dtype: "float32" as const, shape: [...x.shape.slice(0, -1), 1] };
  const attributes = { epsilon: { float: epsilon } };
  const outputs = [same, inverse, inverse, same];
  const made = graphOf(x, skip, scale).node("SkipSimplifiedLayerNormalization", [x, skip, scale], outputs, attributes, contrib);
  return [made[0]!, made[3]!];
}

/** x · sigmoid(alpha · x); with alpha = 1 the SiLU activation. */
export function quickGelu(x: Value, alpha = 1): Value {
  return x.graph.node("QuickGelu", [x], [{ dtype: x.dtype, shape: x.shape }], { alpha: { float: alpha } }, contrib)[0]!;
}

/** LayerNorm's gradient needs its mean and 1 / deviation, with the last axis kept as 1. */
export interface LayerNormalized {
  readonly y: Value;
  readonly mean: Value;
  readonly inverseDeviation: Value;
}

/** LayerNorm over the last axis: y = (x − mean(x)) / sqrt(var(x) + epsilon) · scale; `scale` is as long as that axis. */
export function layerNormalization(x: Value, scale: Value, epsilon: number): LayerNormalized {
  const kept = { dtype: "float32" as const, shape: [...x.shape.slice(0, -1), 1] };
  const attributes = { axis: -1, epsilon: { float: epsilon }, stash_type: 1 };
  const outputs = [{ dtype: x.dtype, shape: x.shape }, kept, kept];
  const [y, mean, inverseDeviation] = graphOf(x, scale).node("LayerNormalization", [x, scale], outputs, attributes) as [
    Value,
    Value,
    Value,
  ];
  return { y, mean, inverseDeviation };
}

/** How the channels of a head are paired for rotation. */
export interface RotaryForm {
  /** Pairs are neighbours; else a channel of each half. */
  readonly interleaved?: boolean;
  /** The first channels, this many, are rotated; all if absent. */
  readonly dims?: number;
}

/**
 * Rotary position embedding on x [B, H, T, Dh]: pairs of channels of the last axis are rotated by the angle of their position.
 * `positions_BT` is int64; `cos` and `sin` are tables [maximum position, dims/2].
 */
export function rotaryEmbedding(x: Value, positions_BT: Value, cos: Value, sin: Value, form: RotaryForm = {}): Value {
  const inputs = [x, positions_BT, cos, sin];
  const [, heads, , size] = x.shape;
  // The runtime reads how many heads there are from an attribute as soon as a part of each is rotated.
  const attributes: Attributes = {
    interleaved: form.interleaved ? 1 : 0,
    ...(form.dims !== undefined && form.dims !== size ? { rotary_embedding_dim: form.dims, num_heads: heads as number } : {}),
  };
  return graphOf(...inputs).node("RotaryEmbedding", inputs, [{ dtype: x.dtype, shape: x.shape }], attributes, contrib)[0]!;
}

/** How the runtime's own kernel of attention computes. */
export interface GroupQueryForm {
  readonly heads: number;
  readonly kvHeads: number;
  /** What q·k is multiplied with; default 1/√E. */
  readonly scale?: number;
  /** c · tanh(score / c) for every score; as it is if absent. */
  readonly softCap?: number | undefined;
  /** How many tokens back a position sees, itself included; all if absent. */
  readonly window?: number | undefined;
  /** Rotates queries and keys by these tables [positions, dims/2], of a multiple of 8 pairs; they come rotated if absent. */
  readonly rotary?: { readonly cos: Value; readonly sin: Value; readonly interleaved: boolean } | undefined;
}

/** What attention reads and leaves, each [B, G, S, E]: where both are the same memory, what is new is written into its place. */
export interface GroupQueryCache {
  readonly k: Value;
  readonly v: Value;
}

/**
 * Causal attention with shared keys and values, in the runtime's own kernel: q [B, T, H·E], k and v [B, T, G·E] give [B, T, H·E].
 * The CPU has it in float32 and float16, CUDA in float16 and bfloat16. No gradient.
 *
 * @param qkv the three, or one value [B, T, (H + 2G)·E] with all heads of queries, then of keys, then of values
 * @param last_B int32 [B]: place of each row's last key; @param total int32 scalar: keys of the longest row, or room for them
 * @param past what is cached of each row; of several tokens at once none
 */
export function groupQueryAttention(
  qkv: readonly [q: Value, k: Value, v: Value] | Value,
  last_B: Value,
  total: Value,
  form: GroupQueryForm,
  past?: GroupQueryCache,
): { readonly y: Value; readonly present: GroupQueryCache } {
  const { heads, kvHeads, scale, softCap, window, rotary } = form;
  const [q, k, v] = qkv instanceof Value ? [qkv] : qkv;
  const [batch, time, width] = q.shape as [Dim, Dim, number];
  const size = width / (k ? heads : heads + 2 * kvHeads);
  const cache = { dtype: q.dtype, shape: [batch, kvHeads, past?.k.shape[2] ?? "total", size] };
  const inputs = [q, k, v, past?.k, past?.v, last_B, total, ...(rotary ? [rotary.cos, rotary.sin] : [])];
  const attributes: Attributes = {
    ...{ num_heads: heads, kv_num_heads: kvHeads },
    ...(scale === undefined ? {} : { scale: { float: scale } }),
    ...(softCap === undefined ? {} : { softcap: { float: softCap } }),
    ...(window === undefined ? {} : { local_window_size: window }),
    ...(rotary ? { do_rotary: 1, rotary_interleaved: rotary.interleaved ? 1 : 0 } : {}),
  };
  const outputs = [{ dtype: q.dtype, shape: [batch, time, heads * size] }, cache, cache];
  const made = graphOf(q, k, v, last_B).node("GroupQueryAttention", inputs, outputs, attributes, contrib) as [Value, Value, Value];
  return { y: made[0], present: { k: made[1], v: made[2] } };
}
