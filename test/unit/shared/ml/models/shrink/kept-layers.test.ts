import { spreadLayers } from "../../../../../../services/shared/ml/models/shrink/kept-layers.js";

describe("spreadLayers()", () => {
  it.each([
    [30, 12, [0, 3, 5, 8, 11, 13, 16, 18, 21, 24, 26, 29]],
    [12, 6, [0, 2, 4, 7, 9, 11]],
    [12, 3, [0, 6, 11]],
    [4, 2, [0, 3]],
    [4, 1, [0]],
    [1, 1, [0]],
  ])("of %d layers keeps %d: the first, the last, and others between at even distances", (layers, count, kept) => {
    expect(spreadLayers(layers, count)).toEqual(kept);
  });

  it("keeps each once, whatever the numbers", () => {
    for (let layers = 1; layers <= 40; layers++)
      for (let count = 1; count <= layers; count++) {
        const kept = spreadLayers(layers, count);
        expect(new Set(kept).size).toBe(count);
        expect([kept[0], kept.at(-1)]).toEqual([0, count === 1 ? 0 : layers - 1]);
      }
  });
});
