import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import { WeightsAverage } from "../../../../../services/shared/ml/training/weights-average.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";

const weightsOf = (...values: number[]) =>
  new Map([
    ["a", float32(values.slice(0, 2), [2])],
    ["b", float32(values.slice(2), [1])],
  ]);

describe("WeightsAverage", () => {
  const steps = [
    [1, -2, 3],
    [2, 0, -3],
    [4, 1, 0],
    [-8, 5, 1],
  ];

  it("is d^n w_0 + (1 − d) Σ d^(n−k) w_k", () => {
    const decay = 0.9;
    const average = new WeightsAverage(decay, weightsOf(...steps[0]!));
    for (const step of steps.slice(1)) average.update(weightsOf(...step));
    const last = steps.length - 1;
    const expected = [0, 1, 2].map((i) =>
      steps.reduce((sum, step, k) => sum + (k === 0 ? 1 : 1 - decay) * decay ** (last - k) * step[i]!, 0),
    );
    expectAllClose(
      [...average.weights.values()].flatMap(({ data }) => [...data]),
      expected,
      { rtol: 1e-6 },
    );
  });

  it("has PyTorch's numbers (torch.optim.swa_utils.get_ema_multi_avg_fn(0.99))", () => {
    const average = new WeightsAverage(0.99, weightsOf(...steps[0]!));
    for (const step of steps.slice(1)) average.update(weightsOf(...step));
    expectAllClose(
      [...average.weights.values()].flatMap(({ data }) => [...data]),
      [0.9495009779930115, -1.8806979656219482, 2.891494035720825],
      { rtol: 1e-6 },
    );
  });

  it("stays, to the last bit, while the weights do, and begins with numbers of its own", () => {
    const begin = weightsOf(0.1, 1e-20, 3.3e8);
    const average = new WeightsAverage(0.999, begin);
    for (let i = 0; i < 100; i++) average.update(begin);
    expect(average.weights).toEqual(begin);
    begin.get("a")!.data[0] = 7;
    expect(average.weights.get("a")!.data[0]).toBe(Math.fround(0.1));
  });

  it.each([0, 1, -0.5, 1.5, Number.NaN])("refuses the decay %p", (decay) => {
    expect(() => new WeightsAverage(decay, weightsOf(1, 2, 3))).toThrow(/must lie between 0 and 1/);
  });
});
