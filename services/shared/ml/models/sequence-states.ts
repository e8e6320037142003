// Dimensions: B batch, T position, D width.
import type { Graph, Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import type { Stage } from "../graph/stage.js";
import { architectureOf, inputsOf } from "./architectures/table.js";
import type { ModelConfig } from "./config/model-config.js";
import { encodedPrompts } from "./encoded-prompts.js";
import { causalAttention } from "./forward/attention.js";
import { relativeBias } from "./forward/relative-bias.js";
import { SequencePass } from "./forward/sequence-pass.js";
import type { GraphWeights } from "./graph-weights.js";
import { hiddenStates } from "./hidden-states.js";

/**
 * The forward pass of whole texts, of differentiable operators. Declares the inputs that the family's `SequenceInputs` lays
 * texts out as.
 *
 * @param stages gets the layers, an encoder's before the decoder's
 * @returns hidden states as the head reads them, [B, T, D]
 */
export function sequenceStates(graph: Graph, config: ModelConfig, weights: GraphWeights, stages?: Stage[]): Value {
  const { encoder } = architectureOf(config);
  const { ids_BT, positions_BT, prompts } = inputsOf(config).declare(graph);
  if (!encoder || !prompts)
    return hiddenStates(new SequencePass(config, weights, { positions_BT, attend: causalAttention() }), ids_BT, stages);
  const encoded = encodedPrompts(config, weights, encoder, prompts, stages);
  const bias_1HTT = relativeBias(weights, encoder.decoderBias(config), op.dimOf(ids_BT, 1), ids_BT.shape[1] as string);
  const pass = new SequencePass(config, weights, { positions_BT, attend: causalAttention(bias_1HTT), encoded });
  return hiddenStates(pass, ids_BT, stages);
}
