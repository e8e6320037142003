import { batchesWithin, paddedTokens } from "../../../../../services/shared/ml/runtime/batches.js";

const tokensOf = (lengths: readonly (number | readonly number[])[], members: readonly number[]) =>
  paddedTokens(members.map((i) => [lengths[i]!].flat()));

describe("batchesWithin()", () => {
  it("puts items by length, longest first, into batches of so many tokens, padding included", () => {
    expect(batchesWithin([3, 9, 1, 4, 4], 9)).toEqual([[1], [3, 4], [0, 2]]);
    expect(batchesWithin([3, 9, 1, 4, 4], 8)).toEqual([[1], [3, 4], [0, 2]]);
    expect(batchesWithin([3, 9, 1, 4, 4], 1000)).toEqual([[1, 3, 4, 0, 2]]);
    expect(batchesWithin([], 8)).toEqual([]);
  });

  it("counts the padding of each text of an item by itself", () => {
    // Together they are as long, and side by side they would be twice as long.
    const opposed = [
      [9, 1],
      [1, 9],
    ];
    expect(batchesWithin(opposed, 20)).toEqual([[0], [1]]);
    expect(batchesWithin(opposed, 36)).toEqual([[0, 1]]);
  });

  it("never exceeds the budget but with an item that stands alone, and leaves none out", () => {
    const lengths = Array.from({ length: 60 }, (_, i) => [1 + ((i * 37) % 41), 1 + ((i * 53) % 23)]);
    for (const budget of [1, 40, 100, 333]) {
      const batches = batchesWithin(lengths, budget);
      expect(batches.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
      for (const members of batches) if (members.length > 1) expect(tokensOf(lengths, members)).toBeLessThanOrEqual(budget);
    }
  });
});
