// Dimensions: B batch, T position, D width, H heads, G key/value heads, E head size.
import type { Dim, Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { float32 } from "../../graph/tensor.js";
import type { ModelConfig } from "../config/model-config.js";
import type { GraphWeights, LowRank } from "../graph-weights.js";
import type { LinearLayout } from "../param-spec.js";
import type { CrossAttention } from "./cross-attention.js";
import type { SelfAttention } from "./self-attention.js";

/** The residual stream x [B, T, D]: what layers read through norms and add to. */
export interface Residual {
  /** x += update */
  add(update: Value): void;
  /** The family's norm of x, scaled by the weight NAME.weight. */
  norm(name: string): Value;
  /** x as it is. */
  read(): Value;
}

/** y + scale · (x Aᵀ) Bᵀ, with the factors that an adapter has for a linear layer; y where it has none. */
export function withLowRank(factors: LowRank | undefined, x: Value, y: Value): Value {
  if (!factors) return y;
  const { a, b, scale } = factors;
  return op.add(y, op.fusedMatMul(op.fusedMatMul(x, a, { transB: true }), b, { transB: true, alpha: scale }));
}

/**
 * The operations that a family's forward pass is written with. What they compute is the same in both forms; how, is not:
 * `SequencePass` is made of differentiable operators, `StepPass` of as few as can be.
 */
export abstract class Pass {
  readonly config: ModelConfig;
  readonly weights: GraphWeights;

  constructor(config: ModelConfig, weights: GraphWeights) {
    this.config = config;
    this.weights = weights;
  }

  /** Rows of the weight NAME [V, D] by their ids: [B, T, D]. */
  embed(name: string, ids_BT: Value): Value {
    return op.gather(this.weights.weight(name), ids_BT);
  }

  /** x Wᵀ + b with NAME.weight [out, in] and, where the model has it, NAME.bias [out]; and what an adapter adds to it. */
  linear(name: string, x: Value, layout: LinearLayout = "outIn"): Value {
    const product = op.fusedMatMul(x, this.weights.weight(`${name}.weight`), { transB: layout === "outIn" });
    const bias = this.weights.optional(`${name}.bias`);
    return withLowRank(this.weights.lowRank(name), x, bias ? op.add(product, bias) : product);
  }

  /** The family's norm over the last axis, scaled by NAME.weight: see `ModelConfig.norm`. */
  norm(name: string, x: Value): Value {
    const { norm, normEps } = this.config;
    if (norm !== "layer") return op.simplifiedLayerNormalization(x, this.normScale(name), normEps)[0];
    const y = op.layerNormalization(x, this.normScale(name), normEps).y;
    const bias = this.weights.optional(`${name}.bias`);
    return bias ? op.add(y, bias) : y;
  }

  /** What a norm multiplies with: its weight, or 1 + weight. */
  normScale(name: string): Value {
    const weight = this.weights.weight(`${name}.weight`);
    return this.config.norm === "rmsPlusOne" ? op.add(weight, 1) : weight;
  }

  /** The norm of heads x […, H, E] that each have a scale of their own, NAME.weight [H, E] or NAME.0.weight [E] and so on, as `shape` says. */
  protected eachHeadNorm(name: string, x: Value, shape: readonly number[]): Value {
    const { norm, normEps, headDim } = this.config;
    const ones = x.graph.constant(float32(new Float32Array(headDim).fill(1), [headDim]));
    const y = norm === "layer" ? op.layerNormalization(x, ones, normEps).y : op.simplifiedLayerNormalization(x, ones, normEps)[0];
    const heads = shape.slice(0, -1).reduce((product, size) => product * size, 1);
    const scale = this.weights.optional(`${name}.weight`)
      ? this.normScale(name)
      : op.concat(
          Array.from({ length: heads }, (_, head) => this.normScale(`${name}.${head}`)),
          0,
        );
    return op.mul(y, op.reshape(scale, shape));
  }

  /** Queries [B, T, H·E], keys and values [B, T, G·E], each made when it is asked for. */
  protected projected({ projection }: SelfAttention, x_BTD: Value): readonly [q: () => Value, k: () => Value, v: () => Value] {
    const { heads, kvHeads, headDim } = this.config;
    if (projection.kind === "apart") {
      const { q, k, v } = projection;
      return [() => this.linear(q, x_BTD), () => this.linear(k, x_BTD), () => this.linear(v, x_BTD)];
    }
    const [batch, time] = x_BTD.shape as [Dim, Dim];
    const layout = projection.kind === "stacked" ? projection.layout : "outIn";
    const all = this.linear(projection.name, x_BTD, layout);
    const parts =
      projection.kind === "stacked"
        ? op.split(all, 2, [heads * headDim, kvHeads * headDim, kvHeads * headDim])
        : op
            .split(op.reshape(all, [batch, time, heads, 3 * headDim]), 3, [headDim, headDim, headDim])
            .map((part) => op.reshape(part, [batch, time, heads * headDim]));
    const [q, k, v] = parts as [Value, Value, Value];
    return [() => q, () => k, () => v];
  }

  /** int64 [B, T]: place of each token in its text, from 0 on. */
  abstract positions(): Value;

  /** The residual stream that starts from x. */
  abstract residual(x_BTD: Value): Residual;

  /** Attention of every position over itself and what came before it: [B, T, D] to [B, T, D]. */
  abstract attention(attention: SelfAttention, x_BTD: Value): Value;

  /** Attention of every position to the prompt that an encoder has read: [B, T, D] to [B, T, D]. */
  abstract crossAttention(cross: CrossAttention, x_BTD: Value): Value;
}
