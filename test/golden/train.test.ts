import { float32 } from "../../services/shared/ml/graph/tensor.js";
import { decoderInputs } from "../../services/shared/ml/models/architectures/sequence-inputs.js";
import { wholeModel } from "../../services/shared/ml/models/trainable.js";
import { learningRate } from "../../services/shared/ml/optim/schedule.js";
import { Session } from "../../services/shared/ml/runtime/session.js";
import { microBatch } from "../../services/shared/ml/training/batch.js";
import { accumulateGraph } from "../../services/shared/ml/training/step-graph.js";
import { Trainer } from "../../services/shared/ml/training/trainer.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { type GoldenTrace, goldenTrain, trainSetup } from "../support/models/golden-train.js";

/** The gradients of the first step, with the vocabulary loss in blocks of `blockRows` and slices of `sliceRows` (0: all rows at once). */
async function firstGradients(trace: GoldenTrace, blockRows: number, sliceRows: number) {
  const { config, weights, batch, options } = trainSetup(trace);
  const { feeds } = microBatch(batch, [0, 1, 2], {
    inputs: decoderInputs,
    padId: 0,
    vocab: config.vocabSize,
    objective: options.objective,
    blockRows,
    sliceRows,
  });
  const session = await Session.create(
    accumulateGraph({ config, trainable: wholeModel(config), ...options, blocks: blockRows > 0, sliceRows }),
    options,
  );
  const zeros = Object.fromEntries(
    [...weights].map(([name, { data, dims }]) => [`g:${name}`, float32(new Float32Array(data.length), dims)]),
  );
  const outputs = await session.run({ ...feeds, ...Object.fromEntries(weights), ...zeros });
  await session.release();
  return outputs;
}

/** As on a GPU; the CPU provider's memory is this process's too, but none of its arrays. */
const onDevice = { runtime: "native", stateOnDevice: true } as const;

describe.each(["tied", "untied"] as const)("a tiny llama with %s head against PyTorch", (head) => {
  const trace = goldenTrain[head];

  it.each([
    [0, 0],
    [1, 0],
    [2, 0],
    [5, 0],
    [64, 0],
    [0, 1],
    [0, 3],
    [0, 64],
    [6, 2],
  ])("has the gradients of autograd, vocabulary loss in blocks of %i rows and slices of %i", async (blockRows, sliceRows) => {
    const outputs = await firstGradients(trace, blockRows, sliceRows);
    expectAllClose(outputs.loss!.data as Float32Array, [trace.steps[0]!.loss], { rtol: 1e-6 }, "loss");
    for (const [name, expected] of Object.entries(trace.firstGradients))
      expectAllClose(outputs[`next:g:${name}`]!.data as Float32Array, expected, { rtol: 1e-5, atol: 2e-6 }, name);
  });

  it.each([
    ["one micro-batch", { microBatchTokens: 1000 }],
    ["two", { microBatchTokens: 18 }],
    ["one per sequence", { microBatchTokens: 1 }],
    ["one micro-batch, its state on the device", { microBatchTokens: 1000, ...onDevice }],
    ["one per sequence, its state on the device", { microBatchTokens: 1, ...onDevice }],
  ])("follows AdamW with warm-up, cosine decay and clipping for ten steps: %s", async (_, how) => {
    const { config, weights, batch, options } = trainSetup(trace);
    const trainer = new Trainer(config, weights, { ...options, ...how });
    for (const [index, expected] of trace.steps.entries()) {
      const rate = learningRate(goldenTrain.schedule, index + 1);
      expect(rate).toBeCloseTo(expected.learningRate, 12);
      const { loss, gradientNorm } = await trainer.step(batch, rate);
      expectAllClose([loss, gradientNorm], [expected.loss, expected.gradientNorm], { rtol: 2e-4 }, `step ${index + 1}: [loss, norm]`);
    }
    await trainer.fetch();
    const params = trainer.params();
    for (const [name, expected] of Object.entries(trace.final))
      expectAllClose(params.get(name)!.data, expected, { rtol: 1e-3, atol: 2e-4 }, name);
    await trainer.release();
  });
});
