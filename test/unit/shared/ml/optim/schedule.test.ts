import { learningRate, type Schedule } from "../../../../../services/shared/ml/optim/schedule.js";

const schedule = (kind: Schedule["kind"], warmupSteps = 4): Schedule => ({ kind, learningRate: 2, warmupSteps, totalSteps: 12 });

describe("learningRate()", () => {
  it.each(["constant", "linear", "cosine"] as const)("%s rises linearly from 0 over the warm-up", (kind) => {
    expect([1, 2, 3, 4, 5].map((step) => learningRate(schedule(kind), step))).toEqual([0, 0.5, 1, 1.5, 2]);
  });

  it("starts at its full value without warm-up", () => {
    for (const kind of ["constant", "linear", "cosine"] as const) expect(learningRate(schedule(kind, 0), 1)).toBe(2);
  });

  it("stays, falls linearly, or falls along half a cosine", () => {
    // Half of the eight steps after the warm-up are done at step 9, all of them after step 12.
    expect([9, 13, 40].map((step) => learningRate(schedule("constant"), step))).toEqual([2, 2, 2]);
    expect([7, 9, 13, 40].map((step) => learningRate(schedule("linear"), step))).toEqual([1.5, 1, 0, 0]);
    expect(learningRate(schedule("cosine"), 7)).toBeCloseTo(1 + Math.SQRT1_2, 12);
    expect(learningRate(schedule("cosine"), 9)).toBeCloseTo(1, 12);
    expect(learningRate(schedule("cosine"), 13)).toBeCloseTo(0, 12);
  });
});
