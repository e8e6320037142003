import type { ModelConfig } from "./config/model-config.js";
import { type GraphWeights, graphWeights, type Params } from "./graph-weights.js";
import { paramSpecs } from "./model-params.js";
import type { ParamSpec, Weights } from "./param-spec.js";

/**
 * Which parameters a training changes, and how a model's weights are made of them. The optimiser's state, checkpoints and
 * what is published go by `specs`, the graph of a step by both lists, the forward pass by `weights`.
 */
export interface Trainable {
  /** What is trained: it has gradients and moments. In the order of the forward pass. */
  readonly specs: readonly ParamSpec[];
  /** What is read and stays as it is. */
  readonly frozen: readonly ParamSpec[];
  /** The weights that the forward pass reads, made in the graph that declares `specs` and `frozen`. */
  readonly weights: (params: Params) => GraphWeights;
  /** The weights of the model by its own names, made of those that are trained and frozen now. */
  readonly merged: (trained: Weights, frozen: Weights) => Weights;
  /** What a new version is published as: the model's weights, or what is trained alone. */
  readonly published: keyof typeof publishedFiles;
}

/** The file that holds a published version's weights, by what is published; a model's may be cut into shards of this name. */
export const publishedFiles = { adapter: "adapter_model.safetensors", full: "model.safetensors" } as const;

/** All parameters of a language model are trained. */
export const wholeModel = (config: ModelConfig): Trainable => allOf(paramSpecs(config));

/** All of these parameters are trained, and nothing else is read. */
export const allOf = (specs: readonly ParamSpec[]): Trainable => ({
  specs,
  frozen: [],
  weights: graphWeights,
  merged: (trained) => trained,
  published: "full",
});

/** Of these parameters some are trained, and the others stay as they are. */
export const someOf = (specs: readonly ParamSpec[], isTrained: (spec: ParamSpec) => boolean): Trainable => ({
  specs: specs.filter(isTrained),
  frozen: specs.filter((spec) => !isTrained(spec)),
  weights: graphWeights,
  merged: (trained, frozen) => new Map([...frozen, ...trained]),
  published: "full",
});
