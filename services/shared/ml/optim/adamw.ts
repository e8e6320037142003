import type { Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import type { ParamSpec } from "../models/param-spec.js";

/** The constants of AdamW, named as in torch.optim.AdamW. */
export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
}

/** What one update multiplies with and adds: float32 [] in a graph, numbers outside of it; see {@link adamwFactors}. */
export interface AdamWFactors<T> {
  /** β₁ */
  readonly keepM: T;
  /** (1 − β₁) · scale */
  readonly addM: T;
  /** β₂ */
  readonly keepV: T;
  /** (1 − β₂) · scale² */
  readonly addV: T;
  /** ε √(1 − β₂ᵗ) */
  readonly epsilon: T;
  /** η √(1 − β₂ᵗ) / (1 − β₁ᵗ) */
  readonly size: T;
  /** 1 − η λ, which a weight that decays is multiplied with. */
  readonly decay: T;
}

/** One weight, and the running means of its gradient (m) and of the gradient's square (v): three values of one shape, float32. */
export interface AdamWState {
  readonly param: Value;
  readonly m: Value;
  readonly v: Value;
}

/**
 * One AdamW update of one weight, as torch.optim.AdamW does it (Loshchilov, Hutter 2019), with the gradient g scaled by s:
 *   m ← β₁ m + (1−β₁) s g;  v ← β₂ v + (1−β₂) s² g²;  θ ← θ (1 − η λ) − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)
 * Both sides of the fraction are multiplied by √(1−β₂ᵗ), and the gradient's scale is part of the factors: each operator is a
 * pass over the weight.
 *
 * @param decays whether the weight decays
 */
export function adamw(state: AdamWState, gradient: Value, factors: AdamWFactors<Value>, decays: boolean): AdamWState {
  const { keepM, addM, keepV, addV, epsilon, size, decay } = factors;
  const m = op.add(op.mul(state.m, keepM), op.mul(gradient, addM));
  const v = op.add(op.mul(state.v, keepV), op.mul(op.mul(gradient, gradient), addV));
  const kept = decays ? op.mul(state.param, decay) : state.param;
  return { param: op.sub(kept, op.mul(op.div(m, op.add(op.sqrt(v), epsilon)), size)), m, v };
}

/**
 * The factors of update t (1-based).
 *
 * @param scale of the gradient: {@link clipFactor}
 */
export function adamwFactors(t: number, learningRate: number, options: AdamWOptions, scale: number): AdamWFactors<number> {
  const { beta1, beta2, epsilon, weightDecay } = options;
  const correction = Math.sqrt(1 - beta2 ** t);
  return {
    keepM: beta1,
    addM: (1 - beta1) * scale,
    keepV: beta2,
    addV: (1 - beta2) * scale ** 2,
    epsilon: epsilon * correction,
    size: (learningRate * correction) / (1 - beta1 ** t),
    decay: 1 - learningRate * weightDecay,
  };
}

/** Weight decay applies to matrices only: not to norms and biases, as Hugging Face's Trainer has it. */
export const decays = (kind: ParamSpec["kind"]): boolean => kind === "matrix" || kind === "head";

/** The factor that brings a global norm down to `maxNorm`: min(1, maxNorm / (norm + 1e-6)), as torch's clip_grad_norm_; 0 leaves it. */
export const clipFactor = (norm: number, maxNorm: number): number => (maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1);
