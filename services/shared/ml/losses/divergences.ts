// Dimensions: R rows (completion tokens), C classes (the vocabulary, or the top k and a tail).
import type { Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";

/** Settings that some divergences read. */
export interface DivergenceOptions {
  /** jsd: weight of the teacher in the mixture. */
  readonly beta: number;
  /** skew_kl, skew_reverse_kl: share of the first distribution in the mixture. */
  readonly skew: number;
  /** mix: weight of the forward KL. */
  readonly weight: number;
  /** adaptive_kl: mass of the teacher's most probable classes that are the head. */
  readonly headMass: number;
  /** entropy_aware: the forward KL is added where the teacher's entropy is above this, in nats. */
  readonly entropyThreshold: number;
  /** entropy_aware: weight of the forward KL there. */
  readonly forwardWeight: number;
  /** jsd: divide by β(1−β). */
  readonly normalizeJsd: boolean;
}

/**
 * A divergence of the student's distribution q from the teacher's p, per row.
 *
 * @param logp_RC teacher log-probabilities, constants, each ≥ `logFloor` of signals/logprobs.ts
 * @param logq_RC student log-probabilities, differentiated through
 * @returns [R], nats
 */
export type Divergence = (logp_RC: Value, logq_RC: Value, options: DivergenceOptions) => Value;

/** Added to a mixture's probability under the logarithm: lost in rounding unless both parts are 0 in float32. */
const probabilityFloor = 1e-37;

const sumClasses = (x_RC: Value): Value => op.reduceSum(x_RC, [-1]);
const mixture = (first: Value, share: number, second: Value): Value => op.add(op.mul(first, share), op.mul(second, 1 - share));
const safeLog = (x: Value): Value => op.log(op.add(x, probabilityFloor));

// Where a class's share is q·f(q) and f's own derivative adds up to nothing over normalised classes, f is held constant:
// the gradient is the same, without its cancelling terms and their passes over [R, C].

/** KL(p‖q) = Σ p (log p − log q). Gradient in the student's logits: q − p. */
export const forwardKl: Divergence = (logp, logq) => sumClasses(op.mul(op.exp(logp), op.sub(logp, logq)));

/** KL(q‖p) = Σ q (log q − log p). Gradient: q ∘ (r − Σ q r), r = log q − log p. */
export const reverseKl: Divergence = (logp, logq) => sumClasses(op.mul(op.exp(logq), op.stopGradient(op.sub(logq, logp))));

/**
 * JSD(β) = β KL(p‖m) + (1−β) KL(q‖m), m = βp + (1−β)q (Agarwal et al. 2024).
 * It vanishes at both ends, so β = 0 means forward KL and β = 1 reverse KL, as its limits after division do.
 */
export const jsd: Divergence = (logp, logq, options) => {
  const { beta, normalizeJsd } = options;
  if (beta === 0) return forwardKl(logp, logq, options);
  if (beta === 1) return reverseKl(logp, logq, options);
  const [p, q] = [op.exp(logp), op.exp(logq)];
  const logm = op.stopGradient(safeLog(mixture(p, beta, q)));
  const ofTeacher = op.mul(sumClasses(op.mul(p, op.sub(logp, logm))), beta);
  const ofStudent = op.mul(sumClasses(op.mul(q, op.sub(op.stopGradient(logq), logm))), 1 - beta);
  const value = op.add(ofTeacher, ofStudent);
  return normalizeJsd ? op.div(value, beta * (1 - beta)) : value;
};

/** Total variation: ½ Σ |p − q|. */
export const tvd: Divergence = (logp, logq) => op.mul(sumClasses(op.abs(op.sub(op.exp(logp), op.exp(logq)))), 0.5);

/** KL(p ‖ s p + (1−s) q) (Ko et al. 2024, DistiLLM). */
export const skewKl: Divergence = (logp, logq, { skew }) => {
  const p = op.exp(logp);
  return sumClasses(op.mul(p, op.sub(logp, safeLog(mixture(p, skew, op.exp(logq))))));
};

/** KL(q ‖ s q + (1−s) p) (Ko et al. 2024, DistiLLM). */
export const skewReverseKl: Divergence = (logp, logq, { skew }) => {
  const q = op.exp(logq);
  return sumClasses(op.mul(q, op.sub(logq, safeLog(mixture(q, skew, op.exp(logp))))));
};

/** w KL(p‖q) + (1−w) KL(q‖p). */
export const mix: Divergence = (logp, logq, options) =>
  op.add(op.mul(forwardKl(logp, logq, options), options.weight), op.mul(reverseKl(logp, logq, options), 1 - options.weight));

/**
 * Adaptive KL (Wu et al. 2024, arXiv 2404.02657): h KL(p‖q) + (1−h) KL(q‖p), where h is the head's share of Σ |p − q|.
 * The head is the smallest set of the teacher's most probable classes whose mass reaches headMass (the paper's μ). h is
 * held constant.
 */
export const adaptiveKl: Divergence = (logp, logq, options) => {
  const [p_RC, order_RC] = op.topK(op.exp(logp), logp.shape[1] as number);
  const gap_RC = op.abs(op.sub(p_RC, op.gatherElements(op.exp(op.stopGradient(logq)), order_RC)));
  const before_RC = op.cumSum(p_RC, 1, { exclusive: true });
  const head_RC = op.cast(op.less(before_RC, options.headMass), "float32");
  const share_R = op.div(sumClasses(op.mul(gap_RC, head_RC)), op.add(sumClasses(gap_RC), probabilityFloor));
  const ofTail = op.mul(reverseKl(logp, logq, options), op.sub(1, share_R));
  return op.add(op.mul(forwardKl(logp, logq, options), share_R), ofTail);
};

/**
 * Entropy-aware on-policy distillation (Jin et al. 2026, arXiv 2603.07079): KL(q‖p) + w · [H(p) > τ] · KL(p‖q), with
 * τ = entropyThreshold and w = forwardWeight. The paper estimates the reverse KL from the sampled token; here it is exact.
 */
export const entropyAware: Divergence = (logp, logq, options) => {
  const entropy_R = op.neg(sumClasses(op.mul(op.exp(logp), logp)));
  const gate_R = op.cast(op.greater(entropy_R, options.entropyThreshold), "float32");
  const forward_R = op.mul(op.mul(forwardKl(logp, logq, options), gate_R), options.forwardWeight);
  return op.add(reverseKl(logp, logq, options), forward_R);
};

/** Every divergence between two distributions, by the name that specs use. */
export const divergences = {
  adaptive_kl: adaptiveKl,
  entropy_aware: entropyAware,
  forward_kl: forwardKl,
  jsd,
  mix,
  reverse_kl: reverseKl,
  skew_kl: skewKl,
  skew_reverse_kl: skewReverseKl,
  tvd,
} as const satisfies Record<string, Divergence>;

/** The name of a divergence in the table, as a run's objective writes it. */
export type DivergenceName = keyof typeof divergences;
