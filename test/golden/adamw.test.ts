import { float32 } from "../../services/shared/ml/graph/tensor.js";
import { clipFactor } from "../../services/shared/ml/optim/adamw.js";
import { learningRate } from "../../services/shared/ml/optim/schedule.js";
import { Optimizer } from "../../services/shared/ml/training/optimizer.js";
import { OptimizerState } from "../../services/shared/ml/training/optimizer-state.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { goldenTrain } from "../support/models/golden-train.js";

const { adamw: golden } = goldenTrain;
const { maxGradNorm, weightDecay } = golden;
const options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay, maxGradNorm };
const dims = [2, 3];

describe("Optimizer", () => {
  it("follows torch.optim.AdamW for ten steps with warm-up, linear decay and clipping", async () => {
    const state = new OptimizerState([{ name: "w", dims, kind: "matrix" }], new Map([["w", float32(golden.initial, dims)]]));
    const optimizer = new Optimizer(state, { device: "cpu", threads: 1 });
    for (const [index, expected] of golden.steps.entries()) {
      const rate = learningRate({ ...goldenTrain.schedule, kind: "linear" }, index + 1);
      expect(rate).toBeCloseTo(expected.learningRate, 12);
      state.gradients.get("w")!.data.set(golden.gradients[index]!);
      const norm = await optimizer.norm();
      expectAllClose([norm], [expected.gradientNorm], { rtol: 1e-6 }, "norm");
      await optimizer.update({ learningRate: rate, scale: clipFactor(norm, options.maxGradNorm) }, options);
      expectAllClose(state.params.get("w")!.data, expected.param, { rtol: 1e-6, atol: 1e-7 }, `weights after step ${index + 1}`);
    }
    await optimizer.release();
  });
});
