import type { Value } from "../../../../../services/shared/ml/graph/graph.js";
import { liveParts, readsOf } from "../../../../../services/shared/ml/graph/prune.js";
import { textLayoutOf } from "../../../../../services/shared/ml/models/architectures/table.js";
import type { ModelConfig } from "../../../../../services/shared/ml/models/config/model-config.js";
import { wholeModel } from "../../../../../services/shared/ml/models/trainable.js";
import { gradientsGraph, type StepGraphOptions } from "../../../../../services/shared/ml/training/step-graph.js";
import { plainObjective } from "../../../../support/loss/loss.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";
import { smallT5, t5Configs } from "../../../../support/models/small-t5.js";

/** The values that a step makes before its loss and reads behind it. */
function keptBy(config: ModelConfig, form: Pick<StepGraphOptions, "gradientCheckpointing" | "computeDtype"> = {}): Value[] {
  const objective = { ...plainObjective, divergence: "cross_entropy" as const };
  const { nodes } = liveParts(gradientsGraph({ config, trainable: wholeModel(config), objective, blocks: false, ...form }));
  const loss = nodes.findIndex(({ op }) => op === "LogSoftmax");
  const later = new Set(nodes.slice(loss).flatMap(readsOf));
  return nodes.slice(0, loss).flatMap(({ outputs }) => outputs.slice(0, 1).filter(({ name, rank }) => rank > 2 && later.has(name)));
}

/** How many values there are, by the operators that make them. */
function byOperator(values: readonly Value[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { producer } of values) counts[producer!.op] = (counts[producer!.op] ?? 0) + 1;
  return counts;
}

describe("what a step keeps for its backward pass", () => {
  // The embedding, and the last norm, whose result the head reads.
  const around = { Gather: 1, SimplifiedLayerNormalization: 1 };

  const llama = smallModel(smallConfigs.llama).config;

  it("is of each layer what its products and norms read", () => {
    const residuals = { Add: 2 * 2 };
    const attention = { RotaryEmbedding: 2, Transpose: 2 };
    // Queries, stacked by the keys that they share, and what attention gives.
    const stacked = { Reshape: 2 * 2 };
    const gateAndUp = { FusedMatMul: 2 * 2 };
    expect(byOperator(keptBy(llama))).toEqual({ ...around, ...residuals, ...attention, ...stacked, ...gateAndUp });
  });

  it("is the input alone of a layer that is computed again", () => {
    expect(byOperator(keptBy(llama, { gradientCheckpointing: true }))).toEqual({ ...around, Add: 2 });
  });

  const families = [
    ...Object.entries(smallConfigs).map(([name, config]) => [name, smallModel(config).config] as const),
    ...Object.entries(t5Configs).map(([name, config]) => [name, smallT5(config).config] as const),
  ];
  it.each(families)("is nothing of the square of a sequence's length: %s", (_, config) => {
    // The masks with the biases of distances, of the encoder and the decoder: their layers share them.
    const shared = textLayoutOf(config) === "two" ? { Add: 2 } : {};
    for (const computeDtype of ["float32", "float16"] as const) {
      const square = ({ shape }: Value) => shape.slice(-2).every((dim) => typeof dim === "string");
      expect(byOperator(keptBy(config, { computeDtype }).filter(square))).toEqual(shared);
    }
  });
});
