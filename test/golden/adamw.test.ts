import { Graph } from "../../services/shared/ml/graph/graph.js";
import { float32 } from "../../services/shared/ml/graph/tensor.js";
import { adamw, adamwScalars, clipFactor, globalNorm } from "../../services/shared/ml/optim/adamw.js";
import { learningRate } from "../../services/shared/ml/optim/schedule.js";
import { Session } from "../../services/shared/ml/runtime/session.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { goldenTrain } from "../support/models/golden-train.js";

const { adamw: golden } = goldenTrain;
const options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: golden.weightDecay };
const dims = [2, 3];

function updateGraph(): Graph {
  const graph = new Graph("adamw");
  const input = (name: string, shape: number[] = dims) => graph.input(name, "float32", shape);
  const gradient = input("gradient");
  const step = { learningRate: input("learningRate", []), stepSize: input("stepSize", []), correction: input("correction", []) };
  const norm = globalNorm([gradient]);
  const state = { param: input("param"), m: input("m"), v: input("v") };
  const next = adamw(state, gradient, clipFactor(norm, golden.maxGradNorm), step, options, true);
  graph.output("norm", norm);
  graph.output("next:param", next.param);
  graph.output("next:m", next.m);
  graph.output("next:v", next.v);
  return graph;
}

describe("adamw()", () => {
  it("follows torch.optim.AdamW for ten steps with warm-up, linear decay and clipping", async () => {
    const session = await Session.create(updateGraph(), { device: "cpu", threads: 1 });
    let state = { param: float32(golden.initial, dims), m: float32(new Float32Array(6), dims), v: float32(new Float32Array(6), dims) };
    for (const [index, expected] of golden.steps.entries()) {
      const rate = learningRate({ ...goldenTrain.schedule, kind: "linear" }, index + 1);
      expect(rate).toBeCloseTo(expected.learningRate, 12);
      const scalars = Object.entries(adamwScalars(index + 1, rate, options)).map(([name, x]) => [name, float32([x], [])]);
      const outputs = await session.run({ ...state, ...Object.fromEntries(scalars), gradient: float32(golden.gradients[index]!, dims) });
      const next = (name: "param" | "m" | "v") => float32(outputs[`next:${name}`]!.data as Float32Array, dims);
      state = { param: next("param"), m: next("m"), v: next("v") };
      expectAllClose(outputs.norm!.data as Float32Array, [expected.gradientNorm], { rtol: 1e-6 }, "norm");
      expectAllClose(state.param.data, expected.param, { rtol: 1e-6, atol: 1e-7 }, `weights after step ${index + 1}`);
    }
    await session.release();
  });
});
