/** How the learning rate moves over the optimiser steps of a phase. */
export interface Schedule {
  readonly kind: "constant" | "linear" | "cosine";
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly totalSteps: number;
}

/**
 * Learning rate of a step (1-based), as Hugging Face's get_*_schedule(_with_warmup) give it: it rises linearly from 0
 * over the warm-up, then stays, falls linearly to 0, or falls along half a cosine to 0.
 */
export function learningRate({ kind, learningRate, warmupSteps, totalSteps }: Schedule, step: number): number {
  const done = step - 1;
  if (done < warmupSteps) return (learningRate * done) / Math.max(1, warmupSteps);
  if (kind === "constant") return learningRate;
  const progress = (done - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
  return learningRate * Math.max(0, kind === "linear" ? 1 - progress : 0.5 * (1 + Math.cos(Math.PI * progress)));
}
