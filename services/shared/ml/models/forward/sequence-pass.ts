// Dimensions: B batch, T position, D width, H heads, G key/value heads, E head size.
import type { Dim, Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import type { ModelConfig } from "../config/model-config.js";
import type { GraphWeights } from "../graph-weights.js";
import { Pass, type Residual, type SelfAttention } from "./pass.js";
import { constantTables, type RotaryTables } from "./rotary.js";

/** One layer's queries, keys and values, rotated. */
export interface AttentionInputs {
  readonly layer: number;
  /** [B, H, T, E] */
  readonly q: Value;
  /** [B, G, T, E] */
  readonly k: Value;
  /** [B, G, T, E] */
  readonly v: Value;
}

/** How queries meet keys: the caller's choice (plain and causal, or against a cache). Returns [B, H, T, E]. */
export type Attention = (inputs: AttentionInputs) => Value;

/** Where a pass over whole sequences stands in them. */
export interface SequencePlace {
  /** int64: rotary position of each token. */
  readonly positions_BT: Value;
  readonly attend: Attention;
  /** Rotary tables that every position has a row in; by default constants of config.maxPositions rows. */
  readonly tables?: RotaryTables<Value>;
}

/** The forward pass of whole sequences, of differentiable operators. */
export class SequencePass extends Pass {
  readonly #place: SequencePlace;
  readonly #tables: RotaryTables<Value>;

  constructor(config: ModelConfig, weights: GraphWeights, place: SequencePlace) {
    super(config, weights);
    this.#place = place;
    this.#tables = place.tables ?? constantTables(place.positions_BT.graph, config);
  }

  residual(x_BTD: Value): Residual {
    let sum_BTD = x_BTD;
    return {
      add: (update) => {
        sum_BTD = op.add(sum_BTD, update);
      },
      rmsNorm: (name) => this.rmsNorm(name, sum_BTD),
    };
  }

  attention({ layer, name, qkNorm }: SelfAttention, x_BTD: Value): Value {
    const { heads, kvHeads, headDim } = this.config;
    const [batch, time] = x_BTD.shape as [Dim, Dim];
    const headsOf = (part: "q" | "k" | "v", count: number): Value => {
      let x_BTHE = op.reshape(this.linear(`${name}.${part}_proj`, x_BTD), [batch, time, count, headDim]);
      if (qkNorm && part !== "v") x_BTHE = this.rmsNorm(`${name}.${part}_norm`, x_BTHE);
      return op.transpose(x_BTHE, [0, 2, 1, 3]);
    };
    const { positions_BT, attend } = this.#place;
    const { cos, sin } = this.#tables;
    const rotate = (x: Value) => op.rotaryEmbedding(x, positions_BT, cos, sin);
    const out_BHTE = attend({ layer, q: rotate(headsOf("q", heads)), k: rotate(headsOf("k", kvHeads)), v: headsOf("v", kvHeads) });
    const joined_BTX = op.reshape(op.transpose(out_BHTE, [0, 2, 1, 3]), [batch, time, heads * headDim]);
    return this.linear(`${name}.o_proj`, joined_BTX);
  }
}
