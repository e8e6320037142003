import type { Placed, SessionOptions } from "../runtime/session.js";
import { Optimizer, type OptimizerOptions } from "./optimizer.js";
import type { OptimizerState } from "./optimizer-state.js";

/** Where weights, moments and gradients are while steps are computed, and who updates them there. */
export interface StepState {
  /** The trained parameters as a graph's inputs, and those that are frozen and no constants. */
  readonly feeds: Placed;
  /** The gradients as a graph's outputs, `next:g:NAME`. */
  readonly gradientsOut: Placed;
  /** The gradients as the inputs `g:NAME` of a graph that adds to them. */
  readonly gradientsIn: Placed;
  clearGradients(): Promise<void>;
  /** Global norm of the gradients: √Σ‖g‖². */
  norm(): Promise<number>;
  /** One update by the gradients. @param scale what they are multiplied with */
  update(scale: number, learningRate: number, options: OptimizerOptions): Promise<void>;
  /** Updates have changed what the arrays of the `OptimizerState` don't have yet. */
  readonly isAhead: boolean;
  /** Brings what updates have changed into the arrays of the `OptimizerState`. */
  fetch(): Promise<void>;
  /** What updates have changed is lost unless it was fetched. */
  release(): Promise<void>;
}

/** They are in the arrays of the `OptimizerState`: graphs read and write them there. */
export class HostStepState implements StepState {
  readonly #state: OptimizerState;
  readonly #frozen: Placed;
  readonly #optimizer: Optimizer;
  readonly isAhead = false;

  constructor(state: OptimizerState, frozen: Placed, options: SessionOptions) {
    this.#state = state;
    this.#frozen = frozen;
    this.#optimizer = new Optimizer(state, options);
  }

  get feeds(): Placed {
    return { ...this.#frozen, ...this.#state.feeds };
  }

  get gradientsOut(): Placed {
    return this.#state.gradientsOut;
  }

  get gradientsIn(): Placed {
    return this.#state.gradientsIn;
  }

  async clearGradients(): Promise<void> {
    this.#state.clearGradients();
  }

  norm(): Promise<number> {
    return this.#optimizer.norm();
  }

  update(scale: number, learningRate: number, options: OptimizerOptions): Promise<void> {
    return this.#optimizer.update(scale, learningRate, options);
  }

  async fetch(): Promise<void> {}

  release(): Promise<void> {
    return this.#optimizer.release();
  }
}
