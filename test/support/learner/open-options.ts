import { plainObjective } from "../loss/loss.js";

/** How a learner of a small model trains. */
export const openOptions = {
  device: "cpu",
  threads: 1,
  objective: { ...plainObjective, divergence: "cross_entropy" },
  optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 },
  microBatchTokens: 512,
} as const;
