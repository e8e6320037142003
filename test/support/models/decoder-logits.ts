// Dimensions: T position, V vocabulary.
import { Graph } from "../../../services/shared/ml/graph/graph.js";
import { int32, int64 } from "../../../services/shared/ml/graph/tensor.js";
import { causalAttention } from "../../../services/shared/ml/models/forward/attention.js";
import { SequencePass } from "../../../services/shared/ml/models/forward/sequence-pass.js";
import { hiddenStates, logits } from "../../../services/shared/ml/models/hidden-states.js";
import type { Model } from "../../../services/shared/ml/models/model.js";
import { declareModel } from "../../../services/shared/ml/models/model-params.js";
import { evaluate } from "../graph/evaluate.js";

/** The logits of a row of token ids, run alone: [T, V], flat. */
export async function decoderLogits(model: Model, row: readonly number[]): Promise<Float32Array> {
  const graph = new Graph("logits");
  const params = declareModel(graph, model.config, model.params);
  const ids_BT = graph.input("ids", "int32", ["B", "T"]);
  const positions_BT = graph.input("positions", "int64", ["B", "T"]);
  const hidden = hiddenStates(new SequencePass(model.config, params, { positions_BT, attend: causalAttention() }), ids_BT);
  const feeds = {
    ids: int32([...row], [1, row.length]),
    positions: int64(
      row.map((_, t) => t),
      [1, row.length],
    ),
  };
  const { found } = await evaluate(graph, { found: logits(model.config, params, hidden) }, feeds);
  return found?.data as Float32Array;
}
