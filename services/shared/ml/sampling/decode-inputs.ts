// Dimensions: N tokens of all rows that a step reads, B rows, P tokens of the row that has most, S cached positions, K steps of a
// run, V vocabulary, G key/value heads, H heads, E head size.
import type { Dim, Graph, Value } from "../graph/graph.js";
import type { ModelConfig } from "../models/config/model-config.js";
import type { EncodedPrompts } from "../models/forward/cross-attention.js";
import type { LayerCache } from "../models/forward/step-pass.js";
import type { TokenRows } from "../models/forward/token-layout.js";
import { type DrawSettings, declareDrawing } from "./draw.js";

/** Names of a layer's cache in feeds. */
export const cacheName = (part: "k" | "v", layer: number): string => `${part}.${layer}`;

/** Names of what a run has read, in its outputs. */
export const readName = (part: "k" | "v", layer: number): string => `read.${part}.${layer}`;

/** Names of what a layer of an encoder-decoder's decoder attends to in the prompts. */
export const promptCacheName = (part: "k" | "v", layer: number): string => `prompt.${part}.${layer}`;

/** Name of the mask [B, 1, 1, prompt] of the prompts that the rows of an encoder-decoder belong to. */
export const promptMaskName = "prompt.mask";

/** What a run is fed beside the weights and what an encoder has read. */
export interface DecodeInputs {
  readonly tokens_N1: Value;
  readonly positions_N1: Value;
  readonly rows: TokenRows;
  readonly last_B: Value;
  readonly cached_B: Value;
  readonly far: readonly LayerCache[];
  readonly block_KB1: Value;
  readonly token_KB1: Value;
  readonly limits_B1: Value;
  readonly enough: Value;
  readonly goesOn_V: Value;
  readonly drawing: DrawSettings;
  readonly topIds: Value;
}

/** Declares what a run is fed. */
export function declareInputs(graph: Graph, { layers, kvHeads, headDim, vocabSize }: ModelConfig): DecodeInputs {
  const shape = ["B", kvHeads, "S", headDim];
  const integers = (name: string, ...dims: Dim[]) => graph.input(name, "int64", dims);
  const floats = (name: string, ...dims: Dim[]) => graph.input(name, "float32", dims);
  return {
    tokens_N1: integers("tokens", "N", 1),
    positions_N1: integers("positions", "N", 1),
    rows: {
      tokens_BP: integers("tokenOf", "B", "P"),
      rows_N1: integers("rowOf", "N", 1),
      places_N1: integers("placeOf", "N", 1),
    },
    last_B: integers("lastOf", "B"),
    cached_B: integers("cached", "B"),
    far: Array.from({ length: layers }, (_, layer) => ({
      k: floats(cacheName("k", layer), ...shape),
      v: floats(cacheName("v", layer), ...shape),
    })),
    block_KB1: floats("blockUniforms", "K", "B", 1),
    token_KB1: floats("tokenUniforms", "K", "B", 1),
    limits_B1: integers("limits", "B", 1),
    enough: floats("enough"),
    goesOn_V: floats("goesOn", vocabSize),
    drawing: declareDrawing(graph),
    topIds: integers("topIds", 1),
  };
}

/** What a decoder has read of the prompts of its rows, as `encodeGraph` gives it. */
export function declareEncoded(graph: Graph, { layers, heads, headDim }: ModelConfig): EncodedPrompts {
  const input = (part: "k" | "v", layer: number) => graph.input(promptCacheName(part, layer), "float32", ["B", heads, "prompt", headDim]);
  return {
    layers: Array.from({ length: layers }, (_, layer) => ({ k: input("k", layer), v: input("v", layer) })),
    mask_B11P: graph.input(promptMaskName, "float32", ["B", 1, 1, "prompt"]),
  };
}
