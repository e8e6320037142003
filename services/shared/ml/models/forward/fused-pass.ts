// Dimensions: B rows, T tokens of a row, D width, H heads, G key/value heads, E head size, S positions that a cache has room for.
import { RetortError } from "../../../base/errors.js";
import type { Graph, Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { tensorOf } from "../../graph/round.js";
import { int64, type Tensor } from "../../graph/tensor.js";
import type { ModelConfig } from "../config/model-config.js";
import type { Rotary } from "../config/rope.js";
import type { GraphWeights } from "../graph-weights.js";
import type { Lora } from "../lora.js";
import type { Part } from "./fused-projections.js";
import { leanResidual } from "./lean-residual.js";
import { Pass, type Residual } from "./pass.js";
import { type RotaryTables, rotaryTables, rotate } from "./rotary.js";
import type { QueryKeyNorms, SelfAttention } from "./self-attention.js";

/** Element types that a pass computes in. On CUDA attention is there in the halves alone, on the CPU in all but bfloat16. */
export type FusedDtype = "float16" | "bfloat16" | "float32";

/** A model's weights as a fused pass reads them, all of its element type. */
export interface FusedWeights extends GraphWeights {
  /** A layer's queries, keys and values as one projection [(H + 2G)·E, D], or its bias; absent: they lie apart. */
  readonly packed?: (part: Part, layer: number) => Value;
}

/** Whether a layer's queries, keys and values can be one projection: nothing is done to some of them alone. */
const isPacked = ({ norms, rotary }: SelfAttention, config: ModelConfig, lora: Lora | undefined): boolean =>
  !lora && !norms && (!rotary || turnsInside(rotary.dims, config));

/** Whether the runtime's kernel of attention rotates queries and keys: it takes pairs by eights. */
const turnsInside = (dims: number, { headDim }: ModelConfig): boolean => dims % 16 === 0 && headDim % 8 === 0;

/** Where the tokens of a pass stand. */
export interface FusedPlace {
  /** int64 [B, T], made when it is asked for: place of each token in its row's text. */
  readonly positions: () => Value;
  /** int32 [B]: place of each row's last token. */
  readonly last_B: Value;
  /** int32 []: keys of the longest row, or room for them. */
  readonly total: Value;
  /** Per layer what is cached, where each row has one token; several tokens have nothing before them. */
  readonly past?: readonly op.GroupQueryCache[] | undefined;
}

/**
 * The forward pass in the runtime's fused operators, for rows that stand side by side: attention with its rotation
 * is one of them, and no array is as large as the tokens squared.
 */
export class FusedPass extends Pass {
  readonly #own: FusedWeights;
  readonly #place: FusedPlace;
  readonly #lora: Lora | undefined;
  readonly #dtype: FusedDtype;
  readonly #turns = new Map<string, RotaryTables<Value>>();
  /** Per layer the keys and values of each row, this pass included. */
  readonly present: op.GroupQueryCache[] = [];

  constructor(
    config: ModelConfig,
    weights: FusedWeights,
    place: FusedPlace,
    { lora, dtype }: { readonly lora: Lora | undefined; readonly dtype: FusedDtype },
  ) {
    super(config, weights);
    this.#own = weights;
    this.#place = place;
    this.#lora = lora;
    this.#dtype = dtype;
  }

  positions(): Value {
    return this.#place.positions();
  }

  residual(x_BTD: Value): Residual {
    return leanResidual(this, x_BTD, this.config.norm !== "layer" && !this.#normsInFloat32);
  }

  /** 1 + weight has too few digits in bfloat16: as the peers do, the norm then is one of float32. */
  get #normsInFloat32(): boolean {
    return this.#dtype === "bfloat16" && this.config.norm === "rmsPlusOne";
  }

  override norm(name: string, x: Value): Value {
    return this.#normsInFloat32 ? op.cast(super.norm(name, op.cast(x, "float32")), x.dtype) : super.norm(name, x);
  }

  override normScale(name: string): Value {
    if (!this.#normsInFloat32) return super.normScale(name);
    return op.add(op.cast(this.weights.weight(`${name}.weight`), "float32"), 1);
  }

  attention(attention: SelfAttention, x_BTD: Value): Value {
    const { heads, kvHeads } = this.config;
    const { layer, rotary, output, outputLayout, scale, softCap, window } = attention;
    const { last_B, total, past } = this.#place;
    const packed = isPacked(attention, this.config, this.#lora) ? this.#own.packed : undefined;
    const qkv = packed ? this.#packed(packed, attention, x_BTD) : this.#apart(attention, x_BTD);
    const tables = rotary && this.#isInside(attention) && { ...this.#tables(x_BTD.graph, rotary), interleaved: rotary.interleaved };
    const form = { heads, kvHeads, scale, softCap, window, ...(tables ? { rotary: tables } : {}) };
    const { y, present } = op.groupQueryAttention(qkv, last_B, total, form, past?.[layer]);
    this.present.push(present);
    return this.linear(output, y, outputLayout);
  }

  crossAttention(): Value {
    throw new RetortError("Internal", "an encoder-decoder has no fused pass");
  }

  #isInside({ rotary, norms }: SelfAttention): boolean {
    return rotary !== undefined && !norms?.afterRotation && turnsInside(rotary.dims, this.config);
  }

  #packed(packed: NonNullable<FusedWeights["packed"]>, { layer, bias }: SelfAttention, x_BTD: Value): Value {
    const product = op.fusedMatMul(x_BTD, packed("weight", layer), { transB: true });
    return bias ? op.add(product, packed("bias", layer)) : product;
  }

  #apart(attention: SelfAttention, x_BTD: Value): readonly [q: Value, k: Value, v: Value] {
    const { heads, kvHeads } = this.config;
    const { norms, rotary } = attention;
    const inside = this.#isInside(attention);
    const turned = (x: Value, part: "q" | "k", count: number): Value => {
      const early = norms && !norms.afterRotation ? this.#headNorm(norms, part, x, count) : x;
      const rotated = rotary && !inside ? this.#rotate(early, rotary, count) : early;
      return norms?.afterRotation ? this.#headNorm(norms, part, rotated, count) : rotated;
    };
    const [q, k, v] = this.projected(attention, x_BTD);
    return [turned(q(), "q", heads), turned(k(), "k", kvHeads), v()];
  }

  /** Rotates the heads of x [B, T, heads·E]. */
  #rotate(x: Value, rotary: Rotary, heads: number): Value {
    const { headDim } = this.config;
    const { graph } = x;
    const positions_N1 = op.reshape(this.positions(), ["N", 1]);
    const positions_NH = op.mul(positions_N1, graph.constant(int64(new Array<number>(heads).fill(1))));
    const turned = rotate(op.reshape(x, ["N", 1, heads, headDim]), positions_NH, this.#tables(graph, rotary), rotary);
    return op.reshape(turned, x.shape, op.shapeOf(x));
  }

  /** Cosines and sines as constants, once for layers that rotate alike. */
  #tables(graph: Graph, rotary: Rotary): RotaryTables<Value> {
    const key = JSON.stringify(rotary);
    const known = this.#turns.get(key);
    if (known) return known;
    const { cos, sin } = rotaryTables(this.config, rotary);
    const table = (name: string, { dims, data }: Tensor<"float32">) =>
      graph.initializer(graph.fresh(`rotary.${name}`), tensorOf(this.#dtype, data, dims));
    const tables = { cos: table("cos", cos), sin: table("sin", sin) };
    this.#turns.set(key, tables);
    return tables;
  }

  /** The norm of the heads of x [B, T, heads·E]. */
  #headNorm(norms: QueryKeyNorms, part: "q" | "k", x: Value, heads: number): Value {
    const name = norms[part];
    if (norms.over === "whole") return this.norm(name, x);
    const { headDim } = this.config;
    const [batch, time] = x.shape as [string, string];
    return op.reshape(this.norm(name, op.reshape(x, [batch, time, heads, headDim])), [batch, time, heads * headDim]);
  }
}
