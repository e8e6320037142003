import { cheapestBatches } from "../../../../../services/shared/ml/runtime/batches.js";

/** Tokens of a batch, padding included. */
function tokensOf(lengths: readonly (readonly number[])[], members: readonly number[]): number {
  const texts = members.map((i) => lengths[i]!);
  return members.length * texts[0]!.reduce((total, _, place) => total + Math.max(...texts.map((text) => text[place]!)), 0);
}

describe("cheapestBatches()", () => {
  const all = (lengths: readonly number[]) => lengths.map((length) => [length]);
  const costOf = (lengths: readonly (readonly number[])[], batches: readonly (readonly number[])[], overhead: number) =>
    batches.reduce((cost, members) => cost + tokensOf(lengths, members) + overhead, 0);

  it("leaves items together, in their order, while padding costs less than another batch", () => {
    expect(cheapestBatches(all([3, 9, 1, 4, 4]), 1000, 100)).toEqual([[0, 1, 2, 3, 4]]);
    expect(cheapestBatches(all([7, 7, 7, 7]), 1000, 0)).toEqual([[0, 1, 2, 3]]);
    expect(cheapestBatches([], 1000, 10)).toEqual([]);
  });

  it("parts long items from short ones where that saves more than a batch costs", () => {
    expect(cheapestBatches(all([10, 100, 12, 90, 11]), 1000, 20)).toEqual([
      [1, 3],
      [0, 2, 4],
    ]);
  });

  it("finds what no other way of parting them by length beats, within the budget", () => {
    const lengths = all([13, 5, 40, 22, 8, 31, 3, 17]);
    const byLength = [2, 5, 3, 7, 0, 4, 1, 6];
    for (const [budget, overhead] of [
      [1000, 12],
      [60, 12],
      [1000, 0],
      [90, 40],
    ] as const) {
      let least = Number.POSITIVE_INFINITY;
      // Each bit says whether a batch ends behind that item.
      for (let cuts = 0; cuts < 2 ** (byLength.length - 1); cuts++) {
        const batches: number[][] = [[]];
        byLength.forEach((item, n) => {
          batches.at(-1)!.push(item);
          if (n < byLength.length - 1 && (cuts >> n) & 1) batches.push([]);
        });
        if (batches.every((members) => members.length === 1 || tokensOf(lengths, members) <= budget))
          least = Math.min(least, costOf(lengths, batches, overhead));
      }
      const found = cheapestBatches(lengths, budget, overhead);
      expect(costOf(lengths, found, overhead)).toBe(least);
      expect(found.flat().sort((a, b) => a - b)).toEqual([...lengths.keys()]);
    }
  });

  it("counts the padding of each text of an item by itself", () => {
    // Together they are as long, and side by side they would be twice as long.
    const opposed = [
      [9, 1],
      [1, 9],
    ];
    expect(cheapestBatches(opposed, 20, 50)).toEqual([[0], [1]]);
    expect(cheapestBatches(opposed, 36, 50)).toEqual([[0, 1]]);
  });

  it("never exceeds the budget but with an item that stands alone, and leaves none out", () => {
    const lengths = Array.from({ length: 60 }, (_, i) => [1 + ((i * 37) % 41), 1 + ((i * 53) % 23)]);
    for (const budget of [1, 40, 100, 333]) {
      const batches = cheapestBatches(lengths, budget, 30);
      expect(batches.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
      for (const members of batches) if (members.length > 1) expect(tokensOf(lengths, members)).toBeLessThanOrEqual(budget);
    }
  });
});
