import { float32, type Tensor } from "../graph/tensor.js";
import { type ParamSpec, pick, type Weights, weightOf } from "../models/param-spec.js";
import { type AdamWOptions, adamwScalars } from "../optim/adamw.js";
import type { Feeds } from "../runtime/session.js";

/** What AdamW keeps besides the weights: its two moments of each trained parameter, and how many updates were made. */
export interface Moments {
  readonly m: Weights;
  readonly v: Weights;
  readonly updates: number;
}

/** What training changes: the trained parameters, and what the optimiser keeps. */
export interface TrainerState extends Moments {
  readonly params: Weights;
}

/** Arrays by the names of a graph's inputs. */
export type Buffers = Record<string, Tensor<"float32">>;

/**
 * Weights and moments in two sets of arrays: a step's graph (see `update`) reads `current` and writes `next`, and
 * `advance` makes what was written current. A step that went wrong is undone by not advancing.
 */
export class OptimizerState {
  readonly #names: readonly string[];
  #current: Buffers;
  #spare: Buffers;
  #updates: number;

  /**
   * @param specs the parameters that are trained
   * @param from their values, maybe among others, to begin with them; or where a trainer was, to go on from there
   */
  constructor(specs: readonly ParamSpec[], from: Weights | TrainerState) {
    const state = "updates" in from ? from : undefined;
    const params = pick(state?.params ?? (from as Weights), specs);
    this.#names = [...params.keys()];
    this.#current = buffers(params, state);
    this.#spare = buffers(params);
    this.#updates = state?.updates ?? 0;
  }

  get current(): Readonly<Buffers> {
    return this.#current;
  }

  get next(): Readonly<Buffers> {
    return Object.fromEntries(Object.entries(this.#spare).map(([name, tensor]) => [`next:${name}`, tensor]));
  }

  /** The trained parameters alone, for a graph that accumulates gradients. */
  get weights(): Buffers {
    return Object.fromEntries(this.#names.map((name) => [name, this.#current[name]!]));
  }

  /** The sums `g:NAME` that such a graph starts from, or that the last one gave. */
  sums(outputs?: Readonly<Record<string, Tensor>>): Buffers {
    return Object.fromEntries(
      this.#names.map((name) => [`g:${name}`, outputs ? (outputs[`next:g:${name}`] as Tensor<"float32">) : zeroOf(this.#current[name]!)]),
    );
  }

  /** The scalars of the coming update. */
  scalars(learningRate: number, options: AdamWOptions): Feeds {
    const scalars = adamwScalars(this.#updates + 1, learningRate, options);
    return Object.fromEntries(Object.entries(scalars).map(([name, x]) => [name, float32([x], [])]));
  }

  advance(): void {
    [this.#current, this.#spare] = [this.#spare, this.#current];
    this.#updates++;
  }

  /** The trained parameters; copies, which later steps do not change. */
  params(): Map<string, Tensor<"float32">> {
    return this.#copy("");
  }

  /** The moments; copies. */
  moments(): Moments {
    return { m: this.#copy("m:"), v: this.#copy("v:"), updates: this.#updates };
  }

  #copy(prefix: string): Map<string, Tensor<"float32">> {
    return new Map(this.#names.map((name) => [name, copyOf(this.#current[`${prefix}${name}`]!)]));
  }
}

const copyOf = ({ data, dims }: Tensor<"float32">): Tensor<"float32"> => float32(data.slice(), dims);

const zeroOf = ({ data, dims }: Tensor<"float32">): Tensor<"float32"> => float32(new Float32Array(data.length), dims);

function buffers(params: Weights, moments?: Pick<Moments, "m" | "v">): Buffers {
  const all: Buffers = {};
  for (const [name, tensor] of params) {
    all[name] = copyOf(tensor);
    all[`m:${name}`] = moments ? copyOf(weightOf(moments.m, name)) : zeroOf(tensor);
    all[`v:${name}`] = moments ? copyOf(weightOf(moments.v, name)) : zeroOf(tensor);
  }
  return all;
}
