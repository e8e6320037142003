import { thin } from "../../../../../services/shared/flow/history/thin.js";

describe("thin()", () => {
  const steps = Uint32Array.from([0, 20, 40]);
  const seconds = Float64Array.from([1, 2, 3]);
  const series = { steps, seconds, tokens: seconds, values: Float64Array.from([0.4, 0.5, 0.6]) };

  it("keeps version 0, which is evaluated before any step, unless what follows a step is asked for", () => {
    expect([thin(series, 10).steps, thin(series, 10, 0).steps, thin(series, 10, 20).steps]).toEqual([[0, 20, 40], [0, 20, 40], [40]]);
  });
});
