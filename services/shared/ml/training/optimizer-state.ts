import { float32, sizeOf, type Tensor } from "../graph/tensor.js";
import { allInMemory, type Constants } from "../models/constants.js";
import { type ParamSpec, pick, type Weights, weightOf } from "../models/param-spec.js";
import type { LossScale } from "./loss-scale.js";

/** What AdamW keeps besides the weights: its two moments of each trained parameter, and how many updates were made. */
export interface Moments {
  readonly m: Weights;
  readonly v: Weights;
  readonly updates: number;
  /** Where products are computed in float16. */
  readonly lossScale?: LossScale | undefined;
}

/** What training changes: the trained parameters, and what the optimiser keeps. */
export interface TrainerState extends Moments {
  readonly params: Weights;
}

/** Arrays by the names of a graph's inputs or outputs. */
export type Buffers = Record<string, Tensor<"float32">>;

/**
 * Weights, moments and gradients: one set of arrays each, 16 bytes per trained parameter. Graphs write gradients into theirs,
 * and an `Optimizer` changes weights and moments where they are.
 */
export class OptimizerState {
  readonly specs: readonly ParamSpec[];
  readonly #params: Weights;
  readonly #m: Weights;
  readonly #v: Weights;
  #gradients: Weights | undefined;
  #updates: number;
  /** What the loss is multiplied with; undefined where it isn't. */
  lossScale: LossScale | undefined;

  /**
   * @param specs the parameters that are trained
   * @param from their values, maybe among others, to begin with them: they are copied; or where a trainer was, to go on from
   *   there: its arrays become this state's own
   */
  constructor(specs: readonly ParamSpec[], from: Weights | TrainerState) {
    const state = "updates" in from ? from : undefined;
    const of = (weights: Weights | undefined) => (weights ? pick(weights, specs) : zeros(specs));
    this.specs = specs;
    this.#params = state ? pick(state.params, specs) : copyOf(pick(from as Weights, specs));
    this.#m = of(state?.m);
    this.#v = of(state?.v);
    this.#updates = state?.updates ?? 0;
    this.lossScale = state?.lossScale;
  }

  /** The trained parameters, which updates change. */
  get params(): Weights {
    return this.#params;
  }

  /** The moments, which updates change. */
  get moments(): Moments {
    return { m: this.#m, v: this.#v, updates: this.#updates, ...this.#scaled };
  }

  /** The gradients of the step that is computed; what they hold before is whatever the last step left. */
  get gradients(): Weights {
    this.#gradients ??= zeros(this.specs);
    return this.#gradients;
  }

  /** The parameters as a graph's inputs. */
  get feeds(): Buffers {
    return Object.fromEntries(this.#params);
  }

  /** The gradients as a graph's outputs, `next:g:NAME`. */
  get gradientsOut(): Buffers {
    return Object.fromEntries([...this.gradients].map(([name, tensor]) => [`next:g:${name}`, tensor]));
  }

  /** The gradients as the inputs `g:NAME` of a graph that adds to them. */
  get gradientsIn(): Buffers {
    return Object.fromEntries([...this.gradients].map(([name, tensor]) => [`g:${name}`, tensor]));
  }

  clearGradients(): void {
    for (const { data } of this.gradients.values()) data.fill(0);
  }

  /** Counts an update that was made. */
  advance(): void {
    this.#updates++;
  }

  /** Copies of all that training changes. */
  snapshot(): TrainerState {
    return { params: copyOf(this.#params), m: copyOf(this.#m), v: copyOf(this.#v), updates: this.#updates, ...this.#scaled };
  }

  get #scaled(): Pick<Moments, "lossScale"> {
    return this.lossScale ? { lossScale: this.lossScale } : {};
  }
}

/** Where training begins: with weights in the very arrays that they are in, which a trainer then changes. Those in files are read. */
export const beginningWith = (specs: readonly ParamSpec[], weights: Constants): TrainerState => ({
  params: allInMemory(pick(weights, specs)),
  m: zeros(specs),
  v: zeros(specs),
  updates: 0,
});

/** Weights in arrays of their own. */
export const copyOf = (weights: Weights): Weights =>
  new Map([...weights.keys()].map((name) => [name, float32(weightOf(weights, name).data.slice(), weightOf(weights, name).dims)]));

const zeros = (specs: readonly ParamSpec[]): Weights =>
  new Map(specs.map(({ name, dims }) => [name, float32(new Float32Array(sizeOf(dims)), dims)]));
