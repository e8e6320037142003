import type { Objective } from "../losses/objective.js";
import type { SessionOptions } from "../runtime/session.js";
import type { ComputeDtype } from "./compute-dtype.js";
import type { OptimizerOptions } from "./optimizer.js";

/** How a model is trained, whatever the batch. */
export interface TrainerOptions extends SessionOptions {
  readonly objective: Objective;
  readonly optimizer: OptimizerOptions;
  /** Most tokens of one micro-batch, padding included; 0: see {@link microBatchTokensFor}. */
  readonly microBatchTokens: number;
  /** Rows per block of the vocabulary loss; 0 takes all at once. By default blocks are used where they save memory. */
  readonly blockRows?: number;
  /** Rows per slice of what the vocabulary loss does between its products, a divisor of `blockRows`; 0 takes all. By default as many as a CPU's caches hold. */
  readonly sliceRows?: number;
  /** Keep only the inputs of layers for the backward pass and compute the rest again: less memory for a third more work. Default false. */
  readonly gradientCheckpointing?: boolean | undefined;
  /** What matrix products are computed in: see `StepGraphOptions`. Default float32. */
  readonly computeDtype?: ComputeDtype | undefined;
  /**
   * Weights, moments and gradients stay where graphs are computed from step to step, instead of in this process's arrays. Default: on
   * a GPU with the runtime native, which alone can do it.
   */
  readonly stateOnDevice?: boolean;
}
