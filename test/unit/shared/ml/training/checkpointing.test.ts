import { float32, type Tensor } from "../../../../../services/shared/ml/graph/tensor.js";
import { initialFactors, loraOf } from "../../../../../services/shared/ml/models/adapter/layers.js";
import { lowRank } from "../../../../../services/shared/ml/models/adapter/low-rank.js";
import { inputsOf } from "../../../../../services/shared/ml/models/architectures/table.js";
import type { ModelConfig } from "../../../../../services/shared/ml/models/config/model-config.js";
import type { Weights } from "../../../../../services/shared/ml/models/param-spec.js";
import { type Trainable, wholeModel } from "../../../../../services/shared/ml/models/trainable.js";
import { Session } from "../../../../../services/shared/ml/runtime/session.js";
import { microBatch } from "../../../../../services/shared/ml/training/batch.js";
import { accumulateGraph, gradientsGraph } from "../../../../../services/shared/ml/training/step-graph.js";
import { plainObjective } from "../../../../support/loss/loss.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";
import { smallT5, t5Configs } from "../../../../support/models/small-t5.js";

const objective = { ...plainObjective, divergence: "cross_entropy" as const };
const sequences = [5, 1, 8].map((length, i) => ({
  promptIds: Int32Array.from({ length: 2 + i }, (_, t) => (5 + 7 * t + i) % 90),
  completionIds: Int32Array.from({ length }, (_, n) => (9 + 31 * n + i) % 90),
}));

/** All outputs of a graph of loss and gradients. */
async function outputsOf(config: ModelConfig, trainable: Trainable, weights: Weights, gradientCheckpointing: boolean, add: boolean) {
  const layout = { inputs: inputsOf(config), padId: 0, vocab: config.vocabSize, objective, blockRows: 0 };
  const { feeds } = microBatch(sequences, [0, 1, 2], layout);
  const options = { config, trainable, objective, blocks: false, gradientCheckpointing };
  const device = { device: "cpu", threads: 1, asWritten: true } as const;
  const session = await Session.create(add ? accumulateGraph(options) : gradientsGraph(options), device);
  const given = add ? trainable.specs.map(({ name }) => [`g:${name}`, zerosOf(weights.get(name)!)] as const) : [];
  const outputs = await session.run({ ...feeds, ...Object.fromEntries(weights), ...Object.fromEntries(given) });
  await session.release();
  return outputs;
}

const zerosOf = ({ data, dims }: Tensor<"float32">) => float32(new Float32Array(data.length), dims);

const bitsOf = ({ data }: Tensor): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

async function expectSame(config: ModelConfig, trainable: Trainable, weights: Weights): Promise<void> {
  const kept = await outputsOf(config, trainable, weights, false, false);
  expect(Object.keys(kept).length).toBe(4 + trainable.specs.length);
  for (const add of [false, true]) {
    const again = await outputsOf(config, trainable, weights, true, add);
    expect(Object.keys(kept).filter((name) => !bitsOf(again[name]!).equals(bitsOf(kept[name]!)))).toEqual([]);
  }
}

describe("gradient checkpointing", () => {
  it.each(Object.entries(smallConfigs))("gives the bits of a step that keeps everything: %s", async (_, raw) => {
    const { config, params } = smallModel(raw);
    await expectSame(config, wholeModel(config), params);
  });

  it.each(Object.entries(t5Configs))("does so for an encoder-decoder: %s", async (_, raw) => {
    const { config, params } = smallT5(raw);
    await expectSame(config, wholeModel(config), params);
  });

  it("does so for an adapter", async () => {
    const { config, params } = smallModel(smallConfigs.llama);
    const lora = loraOf(config, { r: 2, alpha: 4, useRslora: false, targetModules: ["all-linear"] });
    const factors = [...initialFactors(config, lora, 3n)].map(
      ([name, { data, dims }]) =>
        [
          name,
          float32(
            data.map((_, i) => Math.sin(i)),
            dims,
          ),
        ] as const,
    );
    await expectSame(config, lowRank(config, lora), new Map([...params, ...factors]));
  });
});
