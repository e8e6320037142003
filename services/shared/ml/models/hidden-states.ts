// Dimensions: B batch, T position, D width, R rows, V vocabulary.
import type { Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { noteStage, type Stage } from "../graph/stage.js";
import { architectureOf } from "./architectures/table.js";
import type { ModelConfig } from "./config/model-config.js";
import type { Pass } from "./forward/pass.js";
import type { SelfAttention } from "./forward/self-attention.js";
import type { GraphWeights } from "./graph-weights.js";
import { headName } from "./model-params.js";

/**
 * The forward pass of a model, from token ids to hidden states after the final norm.
 *
 * @param ids_BT int32 or int64 token ids
 * @param stages gets the layers
 * @returns [B, T, D]
 */
export function hiddenStates(pass: Pass, ids_BT: Value, stages?: Stage[]): Value {
  const { embed, block, finish } = architectureOf(pass.config);
  const x = pass.residual(embed(pass, ids_BT));
  for (const attention of attentionsOf(pass.config)) noteStage(stages, x, () => block(pass, x, attention));
  return finish(x, pass.config);
}

/** The attention of every layer, in order. */
export function attentionsOf(config: ModelConfig): SelfAttention[] {
  const { attention } = architectureOf(config);
  return Array.from({ length: config.layers }, (_, layer) => attention(config, layer));
}

/** Hidden states to logits, with the head or the tied embedding: [R, D] -> [R, V]. */
export const logits = (config: ModelConfig, weights: GraphWeights, hidden_RD: Value): Value =>
  headLogits(config, hidden_RD, weights.weight(headName(config)));

/**
 * Hidden states to logits with a head [V, D]: [R, D] -> [R, V], float32 whatever they are computed in. States of bfloat16 are multiplied
 * in float16, whose three more digits logits need: their differences are log-probabilities.
 */
export function headLogits({ logitSoftCap }: ModelConfig, hidden_RD: Value, head_VD: Value): Value {
  const isCoarse = hidden_RD.dtype === "bfloat16";
  const [states_RD, own_VD] = [hidden_RD, head_VD].map((x) => (isCoarse ? op.cast(x, "float16") : x)) as [Value, Value];
  const logits_RV = op.cast(op.fusedMatMul(states_RD, own_VD, { transB: true }), "float32");
  return logitSoftCap === undefined ? logits_RV : op.softCap(logits_RV, logitSoftCap);
}
