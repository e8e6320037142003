import type { Arm } from "./experiment.js";

/** The paper's divergences by the names of its tables, from mode covering to mode seeking. */
export const divergences = {
  FKL: { divergence: "forward_kl" },
  "JSD 0.1": { divergence: "jsd", beta: 0.1 },
  "JSD 0.5": { divergence: "jsd", beta: 0.5 },
  "JSD 0.9": { divergence: "jsd", beta: 0.9 },
  RKL: { divergence: "reverse_kl" },
} as const;

/** A divergence by its name in the paper's tables. */
export type Divergence = keyof typeof divergences;

/** The divergences from mode covering to mode seeking. */
export const divergenceNames = Object.keys(divergences) as Divergence[];

/** Name of the arm with a divergence and a lambda. */
export const gkdName = (divergence: Divergence, lambda: number): string => `${divergence}, λ=${lambda}`;

/** Generalised knowledge distillation with a divergence and a lambda. */
export const gkd = (divergence: Divergence, lambda: number, more: Partial<Arm> = {}): Arm => ({
  name: gkdName(divergence, lambda),
  phase: { preset: "gkd", lambda, objective: { ...divergences[divergence] } },
  ...more,
});
