import { found } from "../../base/found.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";

/** Weights by their Hugging Face names, in Hugging Face's layout; see {@link LinearLayout} for that of projections. */
export type Weights = ReadonlyMap<string, Tensor<"float32">>;

/** One weight of a model. */
export interface ParamSpec {
  readonly name: string;
  readonly dims: readonly number[];
  /** What it is: weight decay, which spares biases and norms, and initial values go by it. `head` is a language model's own. */
  readonly kind: "bias" | "head" | "matrix" | "norm";
  /** Of a linear layer in the blocks: how its weight lies. */
  readonly linear?: LinearLayout;
}

/** How a linear's weight lies: [out, in], as PyTorch's Linear has it, or [in, out], as GPT-2's Conv1D. */
export type LinearLayout = "outIn" | "inOut";

/** How many numbers weights hold. */
export const elementsOf = (specs: readonly ParamSpec[]): number => specs.reduce((sum, { dims }) => sum + sizeOf(dims), 0);

/** A weight by its name. @throws Internal naming it if it isn't there */
export const weightOf = (weights: Weights, name: string): Tensor<"float32"> => found(weights.get(name), `weight ${name}`);

/** The weights that specs name, in their order. @throws Internal naming one that isn't there */
export const pick = <W>(weights: ReadonlyMap<string, W>, specs: readonly ParamSpec[]): Map<string, W> =>
  new Map(specs.map(({ name }) => [name, found(weights.get(name), `weight ${name}`)]));
