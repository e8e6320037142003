// Dimensions: B batch, T position, D width.
import type { Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import type { ModelConfig } from "../config/model-config.js";
import type { GraphWeights } from "../graph-weights.js";

/** A layer's attention, as its family describes it. Both forms of a pass, and the weights that the fast one fuses, go by it. */
export interface SelfAttention {
  readonly layer: number;
  /** Prefix of its weights: NAME.q_proj, k_proj, v_proj and o_proj. */
  readonly name: string;
  /** Biases on q_proj, k_proj and v_proj. */
  readonly qkvBias: boolean;
  /** RMS norm over each head of queries and keys before the rotation: NAME.q_norm and k_norm. */
  readonly qkNorm: boolean;
}

/** The residual stream x [B, T, D]: what layers read through norms and add to. */
export interface Residual {
  /** x += update */
  add(update: Value): void;
  /** RMS norm of x, scaled by the weight NAME.weight. */
  rmsNorm(name: string): Value;
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

  /** x Wᵀ + b with NAME.weight [out, in] and, where the model has it, NAME.bias [out]. */
  linear(name: string, x: Value): Value {
    const y = op.fusedMatMul(x, this.weights.weight(`${name}.weight`), { transB: true });
    const bias = this.weights.optional(`${name}.bias`);
    return bias ? op.add(y, bias) : y;
  }

  /** x / √(mean(x²) + ε) over the last axis, scaled by NAME.weight. */
  rmsNorm(name: string, x: Value): Value {
    return op.simplifiedLayerNormalization(x, this.weights.weight(`${name}.weight`), this.config.rmsNormEps)[0];
  }

  /** The residual stream that starts from x. */
  abstract residual(x_BTD: Value): Residual;

  /** Attention of every position over itself and what came before it: [B, T, D] to [B, T, D]. */
  abstract attention(attention: SelfAttention, x_BTD: Value): Value;
}
