import type { ModelConfig, QueryKeyNorm } from "../config/model-config.js";
import type { Rotary } from "../config/rope.js";
import type { LinearLayout } from "../param-spec.js";

/** The weights that make queries, keys and values: three linears, or one. */
export type Projection =
  | { readonly kind: "apart"; readonly q: string; readonly k: string; readonly v: string }
  /** One linear whose outputs are all queries, then all keys, then all values. */
  | { readonly kind: "stacked"; readonly name: string; readonly layout: LinearLayout }
  /** One linear whose outputs are, head by head, its query, its key and its value; as many key heads as there are heads. */
  | { readonly kind: "byHead"; readonly name: string };

/** Norms of queries and keys, before the rotation or after it, by the names of their weights. */
export interface QueryKeyNorms {
  readonly over: QueryKeyNorm;
  /** Of `eachHead`, if NAME has no weight of its own, the heads' weights are NAME.0, NAME.1, … */
  readonly q: string;
  readonly k: string;
  /** They norm what is rotated already; of `head` alone. */
  readonly afterRotation?: boolean;
}

/** A layer's attention, as its family describes it. Both forms of a pass, and the weights that the fast one fuses, go by it. */
export interface SelfAttention {
  readonly layer: number;
  readonly projection: Projection;
  /** The projections have biases. */
  readonly bias: boolean;
  /** The linear behind the attention. */
  readonly output: string;
  readonly outputLayout: LinearLayout;
  /** Norms of queries and keys. */
  readonly norms: QueryKeyNorms | undefined;
  /** How queries and keys are rotated; undefined: they are not. */
  readonly rotary: Rotary | undefined;
  /** How many tokens back a position sees, itself included; undefined: all. */
  readonly window: number | undefined;
  /** What q·k is multiplied with. */
  readonly scale: number;
  /** c · tanh(score / c) for every score; undefined: as it is. */
  readonly softCap: number | undefined;
}

/** The attention of a layer whose weights are NAME.q_proj, k_proj, v_proj, o_proj and, where its config has norms, q_norm and k_norm. */
export function selfAttention(config: ModelConfig, layer: number, name: string, own: Partial<SelfAttention> = {}): SelfAttention {
  const kind = config.layerKinds[layer];
  return {
    layer,
    projection: { kind: "apart", q: `${name}.q_proj`, k: `${name}.k_proj`, v: `${name}.v_proj` },
    bias: config.qkvBias,
    output: `${name}.o_proj`,
    outputLayout: "outIn",
    norms: config.qkNorm && { over: config.qkNorm, q: `${name}.q_norm`, k: `${name}.k_norm` },
    rotary: kind?.rotary,
    window: kind?.window,
    scale: kind?.attentionScale ?? config.attentionScale,
    softCap: config.attentionSoftCap,
    ...own,
  };
}
