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

/** Scalars (float32 []) that change from step to step. */
export interface AdamWStep {
  readonly learningRate: Value;
  /** learningRate / (1 − β₁ᵗ) */
  readonly stepSize: Value;
  /** √(1 − β₂ᵗ) */
  readonly correction: Value;
}

/** One weight, and the running means of its gradient (m) and of the gradient's square (v): three values of one shape, float32. */
export interface AdamWState {
  readonly param: Value;
  readonly m: Value;
  readonly v: Value;
}

/**
 * One AdamW update of one weight, as torch.optim.AdamW does it (Loshchilov, Hutter 2019):
 *   θ ← θ (1 − η λ);  m ← β₁ m + (1−β₁) g;  v ← β₂ v + (1−β₂) g²;  θ ← θ − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)
 *
 * @param scale float32 []: factor of the gradient (clipping)
 */
export function adamw(
  state: AdamWState,
  gradient: Value,
  scale: Value,
  step: AdamWStep,
  options: AdamWOptions,
  decays: boolean,
): AdamWState {
  const { beta1, beta2, epsilon, weightDecay } = options;
  const g = op.mul(gradient, scale);
  const m = op.add(op.mul(state.m, beta1), op.mul(g, 1 - beta1));
  const v = op.add(op.mul(state.v, beta2), op.mul(op.mul(g, g), 1 - beta2));
  const denominator = op.add(op.div(op.sqrt(v), step.correction), epsilon);
  const kept = decays && weightDecay > 0 ? op.mul(state.param, op.sub(1, op.mul(step.learningRate, weightDecay))) : state.param;
  return { param: op.sub(kept, op.mul(op.div(m, denominator), step.stepSize)), m, v };
}

/** The step-dependent scalars of step t (1-based). */
export function adamwScalars(
  t: number,
  learningRate: number,
  { beta1, beta2 }: AdamWOptions,
): { learningRate: number; stepSize: number; correction: number } {
  return { learningRate, stepSize: learningRate / (1 - beta1 ** t), correction: Math.sqrt(1 - beta2 ** t) };
}

/** Weight decay applies to matrices only: not to norms and biases, as Hugging Face's Trainer has it. */
export const decays = (kind: ParamSpec["kind"]): boolean => kind === "matrix" || kind === "head";

/** Global norm of gradients: √Σ‖g‖². */
export function globalNorm(gradients: readonly Value[]): Value {
  return op.sqrt(op.sum(gradients.map((gradient) => op.reduceSumSquare(gradient))));
}

/** The factor that brings a global norm down to `maxNorm`: min(1, maxNorm / (norm + 1e-6)), as torch's clip_grad_norm_. */
export function clipFactor(norm: Value, maxNorm: number): Value {
  return maxNorm > 0 ? op.min(op.div(norm.graph.scalar(maxNorm), op.add(norm, 1e-6)), 1) : norm.graph.scalar(1);
}
