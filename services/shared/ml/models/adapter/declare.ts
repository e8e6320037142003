import type { Graph } from "../../graph/graph.js";
import type { ModelConfig } from "../config/model-config.js";
import type { Constants } from "../constants.js";
import { declareWeights, type GraphWeights, graphWeights } from "../graph-weights.js";
import type { Lora } from "../lora.js";
import { paramSpecs } from "../model-params.js";
import { factorSpecs } from "./layers.js";

/**
 * Declares a language model's weights, and the factors of an adapter on it. The factors are inputs whatever the weights are:
 * another version of the adapter is other feeds of the same graph.
 */
export function declareAdapted(graph: Graph, config: ModelConfig, as: "inputs" | Constants, lora: Lora | undefined): GraphWeights {
  const weights = declareWeights(graph, paramSpecs(config), as);
  const factors = lora ? declareWeights(graph, factorSpecs(config, lora), "inputs") : [];
  return graphWeights(new Map([...weights, ...factors]), lora);
}
