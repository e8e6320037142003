import { liveParts, readsOf } from "../../../../../services/shared/ml/graph/prune.js";
import { wholeModel } from "../../../../../services/shared/ml/models/trainable.js";
import { gradientsGraph } from "../../../../../services/shared/ml/training/step-graph.js";
import { plainObjective } from "../../../../support/loss/loss.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";

/** How many values of a Llama of two layers are made before the loss and read behind it, by the operators that make them. */
function keptBy(gradientCheckpointing: boolean): Record<string, number> {
  const { config } = smallModel(smallConfigs.llama);
  const objective = { ...plainObjective, divergence: "cross_entropy" as const };
  const { nodes } = liveParts(gradientsGraph({ config, trainable: wholeModel(config), objective, blocks: false, gradientCheckpointing }));
  const loss = nodes.findIndex(({ op }) => op === "LogSoftmax");
  const later = new Set(nodes.slice(loss).flatMap(readsOf));
  const counts: Record<string, number> = {};
  for (const { op, outputs } of nodes.slice(0, loss)) {
    const [{ name, rank }] = outputs as [(typeof outputs)[number]];
    if (rank > 2 && later.has(name)) counts[op] = (counts[op] ?? 0) + 1;
  }
  return counts;
}

describe("what a step keeps for its backward pass", () => {
  // The embedding, and the last norm, whose result the head reads.
  const around = { Gather: 1, SimplifiedLayerNormalization: 1 };

  it("is of each layer what its products and norms read", () => {
    const residuals = { Add: 2 * 2 };
    const attention = { RotaryEmbedding: 2, Transpose: 2, Softmax: 2 };
    // Queries and probabilities, stacked by the keys that they share, and what attention gives.
    const stacked = { Reshape: 3 * 2 };
    const gateAndUp = { FusedMatMul: 2 * 2 };
    expect(keptBy(false)).toEqual({ ...around, ...residuals, ...attention, ...stacked, ...gateAndUp });
  });

  it("is the input alone of a layer that is computed again", () => {
    expect(keptBy(true)).toEqual({ ...around, Add: 2 });
  });
});
