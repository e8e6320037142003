// Dimensions: B batch, P positions of the prompt, D width, H heads, E head size.
import type { Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { noteStage, type Stage } from "../graph/stage.js";
import { type EncoderPart, encoderDecoderOf } from "./architectures/encoder.js";
import type { DeclaredPrompts } from "./architectures/sequence-inputs.js";
import { architectureOf } from "./architectures/table.js";
import type { ModelConfig } from "./config/model-config.js";
import { maskedAttention } from "./forward/attention.js";
import type { EncodedPrompts } from "./forward/cross-attention.js";
import { positionsOf } from "./forward/positions.js";
import { relativeBias } from "./forward/relative-bias.js";
import { SequencePass } from "./forward/sequence-pass.js";
import type { GraphWeights } from "./graph-weights.js";

/** The encoder's forward pass: what every layer of the decoder attends to. @param stages gets the encoder's layers */
export function encodedPrompts(
  config: ModelConfig,
  weights: GraphWeights,
  encoder: EncoderPart,
  { ids_BP, mask_B11P }: DeclaredPrompts,
  stages?: Stage[],
): EncodedPrompts {
  const bias_1HPP = relativeBias(weights, encoder.bias(config), op.dimOf(ids_BP, 1), ids_BP.shape[1] as string);
  const mask_BHPP = op.add(mask_B11P, bias_1HPP);
  const pass = new SequencePass(config, weights, {
    positions_BT: positionsOf(ids_BP),
    attend: ({ q, k, v, ...form }) => maskedAttention(q, k, v, mask_BHPP, form),
  });
  const x = pass.residual(architectureOf(config).embed(pass, ids_BP));
  for (let layer = 0; layer < encoderDecoderOf(config).encoderLayers; layer++)
    noteStage(stages, x, () => encoder.block(pass, x, encoder.attention(config, layer)));
  const states_BPD: Value = encoder.finish(x);
  const layers = Array.from({ length: config.layers }, (_, layer) => pass.keysAndValues(encoder.cross(layer), states_BPD));
  return { layers, mask_B11P };
}
