// Dimensions: B batch, T position, D width, C classes.
import type { Graph, Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { int32, type Tensor } from "../graph/tensor.js";
import { inputsOf } from "../models/architectures/table.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { causalAttention } from "../models/forward/attention.js";
import { SequencePass } from "../models/forward/sequence-pass.js";
import { graphWeights, type Params } from "../models/graph-weights.js";
import { hiddenStates } from "../models/hidden-states.js";
import { classHead } from "../models/model-params.js";
import type { Classifier } from "./classifier.js";

/**
 * A decoder's class logits, read at each text's last token. Declares the inputs that {@link textFeeds} makes.
 *
 * @returns [B, C]
 */
export function classLogits(graph: Graph, config: ModelConfig, params: Params): Value {
  const { ids_BT, positions_BT } = inputsOf(config).declare(graph);
  // Places in the flattened [B·T].
  const last_B = graph.input("last", "int64", ["B"]);
  const weights = graphWeights(params);
  const hidden_BTD = hiddenStates(new SequencePass(config, weights, { positions_BT, attend: causalAttention() }), ids_BT);
  const hidden_BD = op.gather(op.reshape(hidden_BTD, ["BT", config.hiddenSize]), last_B);
  return op.fusedMatMul(hidden_BD, weights.weight(classHead), { transB: true });
}

/** The token that transformers takes for padding when it looks for a text's end: config.json's own, wherever else one is named. */
export const paddingId = ({ rawConfig }: Pick<Classifier, "rawConfig">): number | undefined =>
  typeof rawConfig.pad_token_id === "number" ? rawConfig.pad_token_id : undefined;

/** Texts as inputs of {@link classLogits}: right-padded ids, positions, and where each text ends. */
export function textFeeds(texts: readonly Int32Array[], padId: number | undefined): Record<string, Tensor> {
  const time = Math.max(...texts.map(({ length }) => length));
  const ids = new Int32Array(texts.length * time).fill(padId ?? 0);
  texts.forEach((text, b) => {
    ids.set(text, b * time);
  });
  const dims = [texts.length, time];
  return {
    ids: int32(ids, dims),
    positions: { dtype: "int64", dims, data: BigInt64Array.from({ length: ids.length }, (_, i) => BigInt(i % time)) },
    last: { dtype: "int64", dims: [texts.length], data: BigInt64Array.from(texts, (text, b) => BigInt(b * time + lastOf(text, padId))) },
  };
}

/** The last token that is no padding, as transformers looks for it: a pad token that ends a text itself is passed over too. */
function lastOf(text: Int32Array, padId: number | undefined): number {
  let last = text.length - 1;
  while (last > 0 && text[last] === padId) last--;
  return last;
}
