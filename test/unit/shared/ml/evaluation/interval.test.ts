import { intervalOf, meansByGroup } from "../../../../../services/shared/ml/evaluation/interval.js";

const ones = (count: number, of: number): number[] => Array.from({ length: of }, (_, i) => Number(i < count));

describe("intervalOf()", () => {
  // Of 81 in 263: Newcombe (1998), method 3; the ends of 0 in 10 and 10 in 10 are z²/(n + z²) from 0 and 1.
  it.each([
    [0, 10, 0, 0.2775327998628892],
    [5, 10, 0.236593090512564, 0.7634069094874361],
    [81, 263, 0.255288, 0.366205],
    [10, 10, 0.7224672001371107, 1],
  ])("is Wilson's for proportions: %d of %d", (count, of, low, high) => {
    const interval = intervalOf(ones(count, of));
    expect(interval?.method).toBe("wilson");
    expect(interval?.low).toBeCloseTo(low, 4);
    expect(interval?.high).toBeCloseTo(high, 4);
  });

  it("is the normal one for other values: mean ± 1.96 s / √n", () => {
    expect(intervalOf([1, 2, 3, 4])).toEqual({
      low: expect.closeTo(2.5 - (1.959963984540054 * Math.sqrt(5 / 3)) / 2, 12),
      high: expect.closeTo(2.5 + (1.959963984540054 * Math.sqrt(5 / 3)) / 2, 12),
      method: "normal",
    });
  });

  it("holds the true share about 95 times of 100", () => {
    let state = 7;
    const random = () => {
      state = (state * 48271) % 2147483647;
      return state / 2147483647;
    };
    let held = 0;
    for (let trial = 0; trial < 2000; trial++) {
      const interval = intervalOf(Array.from({ length: 40 }, () => Number(random() < 0.3)));
      if (interval && interval.low <= 0.3 && 0.3 <= interval.high) held++;
    }
    expect(held / 2000).toBeGreaterThan(0.93);
    expect(held / 2000).toBeLessThan(0.97);
  });

  it("says nothing where nothing can be said", () => {
    expect(intervalOf([])).toBeUndefined();
    expect(intervalOf([0.5])).toBeUndefined();
  });
});

describe("meansByGroup()", () => {
  it("takes the samples of a prompt as one value", () => {
    expect(
      meansByGroup([
        [4, 1],
        [2, 0],
        [4, 0],
        [2, 0],
      ]),
    ).toEqual([0.5, 0]);
  });
});
