import type { Graph } from "../graph/graph.js";
import { architectureOf } from "./architectures/table.js";
import type { ModelConfig } from "./config/model-config.js";
import type { Constants } from "./constants.js";
import { declareWeights, type GraphWeights, graphWeights } from "./graph-weights.js";
import { elementsOf, type ParamSpec } from "./param-spec.js";

/** Name of the weight of a classifier that turns a hidden state into one logit per class, [C, D]. */
export const classHead = "score.weight";

/** Every weight from the embedding to the last norm, in the order of the forward pass. */
export const bodySpecs = (config: ModelConfig): ParamSpec[] => architectureOf(config).params(config);

/** Every weight of a language model, in the order of the forward pass. */
export function paramSpecs(config: ModelConfig): ParamSpec[] {
  if (config.tieWordEmbeddings) return bodySpecs(config);
  const head: ParamSpec = { name: architectureOf(config).head, dims: [config.vocabSize, config.hiddenSize], kind: "head" };
  return [...bodySpecs(config), head];
}

/** Number of parameters of a language model. */
export const parameterCount = (config: ModelConfig): number => elementsOf(paramSpecs(config));

/** Declares a language model's weights; see {@link declareWeights}. */
export const declareModel = (graph: Graph, config: ModelConfig, as: "inputs" | Constants): GraphWeights =>
  graphWeights(declareWeights(graph, paramSpecs(config), as));

/** Name of the embedding [V, D]. */
export const embeddingName = (config: ModelConfig): string => architectureOf(config).embedding;

/** The name of the weight that turns hidden states into logits: the embedding itself when they are tied. */
export const headName = (config: ModelConfig): string => (config.tieWordEmbeddings ? embeddingName(config) : architectureOf(config).head);
