import { wilson } from "../../../../services/shared/base/wilson.js";

describe("wilson()", () => {
  it("is the interval of the textbooks", () => {
    // Newcombe 1998, table I, method 3: 81 of 263, and 0 of 20.
    const [low, high] = wilson(81 / 263, 263);
    expect([low.toFixed(4), high.toFixed(4)]).toEqual(["0.2553", "0.3662"]);
    expect(wilson(0, 20)[1].toFixed(4)).toBe("0.1611");
  });

  it("knows nothing without trials", () => {
    expect(wilson(0, 0)).toEqual([0, 1]);
  });
});
