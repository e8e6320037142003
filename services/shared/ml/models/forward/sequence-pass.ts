// Dimensions: B batch, T position, P position of a prompt, D width, H heads, G key/value heads, E head size.
import { found } from "../../../base/found.js";
import type { Dim, Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import type { ModelConfig } from "../config/model-config.js";
import type { Rotary } from "../config/rope.js";
import type { GraphWeights } from "../graph-weights.js";
import { type Attention, maskedAttention } from "./attention.js";
import type { CrossAttention, EncodedPrompts } from "./cross-attention.js";
import { Pass, type Residual } from "./pass.js";
import { constantTables, type RotaryTables, rotate } from "./rotary.js";
import type { SelfAttention } from "./self-attention.js";

export type { Attention } from "./attention.js";

/** Where a pass over whole sequences stands in them. */
export interface SequencePlace {
  /** int64: rotary position of each token. */
  readonly positions_BT: Value;
  readonly attend: Attention;
  /** What an encoder has read, in an encoder-decoder's decoder. */
  readonly encoded?: EncodedPrompts;
  /** Rotary tables that every position has a row in; by default constants of config.maxPositions rows. */
  readonly tables?: (rotary: Rotary) => RotaryTables<Value>;
}

/** The forward pass of whole sequences, of differentiable operators. */
export class SequencePass extends Pass {
  readonly #place: SequencePlace;
  readonly #tables: (rotary: Rotary) => RotaryTables<Value>;

  constructor(config: ModelConfig, weights: GraphWeights, place: SequencePlace) {
    super(config, weights);
    this.#place = place;
    this.#tables = place.tables ?? ((rotary) => constantTables(place.positions_BT.graph, config, rotary));
  }

  positions(): Value {
    return this.#place.positions_BT;
  }

  residual(x_BTD: Value): Residual {
    let sum_BTD = x_BTD;
    return {
      add: (update) => {
        sum_BTD = op.add(sum_BTD, update);
      },
      norm: (name) => this.norm(name, sum_BTD),
      read: () => sum_BTD,
    };
  }

  attention(attention: SelfAttention, x_BTD: Value): Value {
    const { heads, headDim } = this.config;
    const { layer, rotary, window, scale, softCap } = attention;
    const [batch, time] = x_BTD.shape as [Dim, Dim];
    const tables = rotary && this.#tables(rotary);
    const norms = attention.norms?.afterRotation ? attention.norms : undefined;
    const turned = (x: Value, part: "q" | "k") => {
      const y = rotary && tables ? rotate(x, this.#place.positions_BT, tables, rotary) : x;
      return norms ? this.norm(norms[part], y) : y;
    };
    const [q, k, v] = this.#project(attention, x_BTD);
    const out_BHTE = this.#place.attend({ layer, window, scale, softCap, q: turned(q(), "q"), k: turned(k(), "k"), v: v() });
    const joined_BTX = op.reshape(op.transpose(out_BHTE, [0, 2, 1, 3]), [batch, time, heads * headDim]);
    return this.linear(attention.output, joined_BTX, attention.outputLayout);
  }

  crossAttention({ layer, q, output, scale }: CrossAttention, x_BTD: Value): Value {
    const { heads, headDim } = this.config;
    const { layers, mask_B11P } = found(this.#place.encoded, "what the encoder has read");
    const { k, v } = found(layers[layer], "the prompt's keys");
    const out_BHTE = maskedAttention(this.#heads(this.linear(q, x_BTD), heads), k, v, mask_B11P, { scale, softCap: undefined });
    return this.linear(output, op.reshape(op.transpose(out_BHTE, [0, 2, 1, 3]), [...x_BTD.shape.slice(0, 2), heads * headDim]));
  }

  /** What a decoder's layer attends to in a prompt: keys and values [B, H, P, E] of its states behind the encoder. */
  keysAndValues({ k, v }: CrossAttention, states_BPD: Value): Record<"k" | "v", Value> {
    const { kvHeads } = this.config;
    return { k: this.#heads(this.linear(k, states_BPD), kvHeads), v: this.#heads(this.linear(v, states_BPD), kvHeads) };
  }

  /** Queries [B, H, T, E], keys and values [B, G, T, E], not rotated yet, each made when it is asked for. */
  #project(attention: SelfAttention, x_BTD: Value): readonly [q: () => Value, k: () => Value, v: () => Value] {
    const { heads, kvHeads } = this.config;
    const norms = attention.norms?.afterRotation ? undefined : attention.norms;
    const [q, k, v] = this.projected(attention, x_BTD);
    return [
      () => this.#heads(q(), heads, norms && { over: norms.over, name: norms.q }),
      () => this.#heads(k(), kvHeads, norms && { over: norms.over, name: norms.k }),
      () => this.#heads(v(), kvHeads),
    ];
  }

  /** [B, T, count·E] by heads, normed where asked for: [B, count, T, E]. */
  #heads(flat: Value, count: number, norm?: { over: string; name: string }): Value {
    const { headDim } = this.config;
    const [batch, time] = flat.shape as [Dim, Dim];
    const whole = norm?.over === "whole" ? this.norm(norm.name, flat) : flat;
    let x_BTHE = op.reshape(whole, [batch, time, count, headDim]);
    if (norm?.over === "head") x_BTHE = this.norm(norm.name, x_BTHE);
    if (norm?.over === "eachHead") x_BTHE = this.eachHeadNorm(norm.name, x_BTHE, [count, headDim]);
    return op.transpose(x_BTHE, [0, 2, 1, 3]);
  }
}
