import { float32, sizeOf, type Tensor } from "../graph/tensor.js";
import { allInMemory, type Constants } from "../models/constants.js";
import { type ParamSpec, pick, type Weights, weightOf } from "../models/param-spec.js";
import { decays } from "../optim/adamw.js";
import { type FlatLayout, flatLayout } from "./flat-layout.js";
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

/** Elements that are updated alike: those of a large weight, or of some small ones. */
export interface Piece {
  readonly param: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
  readonly gradient: Float32Array;
  /** They are ones to which weight decay applies. */
  readonly decayed: boolean;
}

/** Weights of up to so many elements lie one behind another: a call into the runtime for each would take as long as its work. */
const smallWeight = 1 << 17;

/** What there is of each weight: of the small ones in one array. */
interface Arrays {
  readonly small: Float32Array;
  readonly weights: Weights;
}

/**
 * Weights, moments and gradients: one set of arrays each, 16 bytes per trained parameter. Graphs write gradients into theirs,
 * and an `Optimizer` changes weights and moments where they are.
 */
export class OptimizerState {
  readonly specs: readonly ParamSpec[];
  readonly #layout: FlatLayout;
  readonly #params: Arrays;
  readonly #m: Arrays;
  readonly #v: Arrays;
  #gradients: Arrays | undefined;
  #updates: number;
  /** What the loss is multiplied with; undefined where it isn't. */
  lossScale: LossScale | undefined;

  /**
   * @param specs the parameters that are trained
   * @param from their values, maybe among others, to begin with them: they are copied; or where a trainer was, to go on from
   *   there: its large arrays become this state's own
   */
  constructor(specs: readonly ParamSpec[], from: Weights | TrainerState) {
    const state = "updates" in from ? from : undefined;
    this.specs = specs;
    this.#layout = flatLayout(specs.filter(({ dims }) => sizeOf(dims) <= smallWeight));
    this.#params = this.#arrays(state?.params ?? (from as Weights), state === undefined);
    this.#m = this.#arrays(state?.m);
    this.#v = this.#arrays(state?.v);
    this.#updates = state?.updates ?? 0;
    this.lossScale = state?.lossScale;
  }

  /** @param from values, whose large arrays are taken, or copied; absent: zeros */
  #arrays(from?: Weights, copied = false): Arrays {
    const small = new Float32Array(this.#layout.length);
    const weights = this.specs.map(({ name, dims }) => {
      const given = from && weightOf(from, name);
      const start = this.#layout.starts.get(name);
      if (start === undefined && given && !copied) return [name, given] as const;
      const data = start === undefined ? new Float32Array(sizeOf(dims)) : small.subarray(start, start + sizeOf(dims));
      if (given) data.set(given.data);
      return [name, float32(data, dims)] as const;
    });
    return { small, weights: new Map(weights) };
  }

  /** The trained parameters, which updates change. */
  get params(): Weights {
    return this.#params.weights;
  }

  /** The moments, which updates change. */
  get moments(): Moments {
    return { m: this.#m.weights, v: this.#v.weights, updates: this.#updates, ...this.#scaled };
  }

  /** The gradients of the step that is computed; what they hold before is whatever the last step left. */
  get gradients(): Weights {
    return this.#ofGradients.weights;
  }

  get #ofGradients(): Arrays {
    this.#gradients ??= this.#arrays();
    return this.#gradients;
  }

  /** All elements: updates change what they have here. Between small weights are some that are zero, and stay it. */
  get pieces(): readonly Piece[] {
    const { ranges, starts } = this.#layout;
    const all = { param: this.#params, m: this.#m, v: this.#v, gradient: this.#ofGradients };
    const of = (part: (arrays: Arrays) => Float32Array) => ({
      param: part(all.param),
      m: part(all.m),
      v: part(all.v),
      gradient: part(all.gradient),
    });
    const large = this.specs.filter(({ name }) => !starts.has(name));
    return [
      ...ranges.map(({ start, length, decayed }) => ({ ...of(({ small }) => small.subarray(start, start + length)), decayed })),
      ...large.map(({ name, kind }) => ({ ...of(({ weights }) => weightOf(weights, name).data), decayed: decays(kind) })),
    ];
  }

  /** The parameters as a graph's inputs. */
  get feeds(): Buffers {
    return Object.fromEntries(this.params);
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
    const { m, v, updates } = this.moments;
    return { params: copyOf(this.params), m: copyOf(m), v: copyOf(v), updates, ...this.#scaled };
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
