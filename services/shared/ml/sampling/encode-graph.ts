// Dimensions: U prompts (each once), P positions of a prompt, H heads, E head size.
import { Graph } from "../graph/graph.js";
import { declareAdapted } from "../models/adapter/declare.js";
import type { EncoderPart } from "../models/architectures/encoder.js";
import { declarePrompts } from "../models/architectures/sequence-inputs.js";
import { encodedPrompts } from "../models/encoded-prompts.js";
import type { DecodeGraphOptions } from "./decode-graph.js";
import { promptCacheName, promptMaskName } from "./decode-inputs.js";

/**
 * What an encoder-decoder's sampler computes once for a completion: keys and values of its prompt, for every layer.
 * Inputs: promptIds [U, P] int32 and promptMask [U, 1, 1, P], as `promptFeeds` makes them; an
 * adapter's factors, those of the decoder alone among them.
 * Outputs: prompt.k.i and prompt.v.i [U, H, P, E], and prompt.mask [U, 1, 1, P].
 */
export function encodeGraph(
  { config, weights, lora }: Pick<DecodeGraphOptions, "config" | "lora" | "weights">,
  encoder: EncoderPart,
): Graph {
  const graph = new Graph("encode");
  const prompts = declarePrompts(graph);
  const { layers, mask_B11P } = encodedPrompts(config, declareAdapted(graph, config, weights, lora), encoder, prompts);
  layers.forEach(({ k, v }, layer) => {
    graph.output(promptCacheName("k", layer), k);
    graph.output(promptCacheName("v", layer), v);
  });
  graph.output(promptMaskName, mask_B11P);
  return graph;
}
