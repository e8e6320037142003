import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import { type CachedRow, CacheJoiner, cachedLength, firstOf } from "../../../../../services/shared/ml/sampling/row-cache.js";
import { smallModel } from "../../../../support/models/small-model.js";

/** One layer, one head of size 1: a position is a number. */
const config = { ...smallModel().config, layers: 1, kvHeads: 1, headDim: 1 };

/** A run whose rows had `far` and read `read`, at first `longest` tokens at most. */
const runOf = (far: number[][], read: number[][], longest: number) => {
  const tensor = (rows: number[][]) => float32(rows.flat(), [rows.length, 1, rows[0]!.length, 1]);
  return { far: { "k.0": tensor(far), "v.0": tensor(far) }, read: { "read.k.0": tensor(read), "read.v.0": tensor(read) }, longest };
};
const run = runOf(
  [
    [1, 2, 3],
    [4, 0, 0],
  ],
  [
    [5, 6, 7],
    [8, 0, 9],
  ],
  2,
);
const rows: CachedRow[] = [
  { run, place: 0, before: 3, first: 2, drawn: 1 },
  { run, place: 1, before: 1, first: 1, drawn: 1 },
];
const joined = (joiner: CacheJoiner, from: readonly (CachedRow | undefined)[]) => {
  const { data, dims } = joiner.join(config, from)["k.0"]!;
  return { numbers: [...(data as Float32Array)], stored: dims[2] };
};

describe("CacheJoiner", () => {
  it("puts what each row had, read and drew one behind another, and zeros behind that", () => {
    expect(joined(new CacheJoiner(), [rows[1], undefined, rows[0]])).toEqual({
      numbers: [4, 8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 5, 6, 7],
      stored: 6,
    });
  });

  it("never writes to what the rows of the run before are read from, whatever has been there", () => {
    const joiner = new CacheJoiner();
    let from = rows;
    for (let n = 0; n < 5; n++) {
      const far = joiner.join(config, from);
      const next = { far, read: runOf([[0]], [[100 + n], [200 + n]], 1).read, longest: 1 };
      from = from.map((row, place) => ({ run: next, place, before: cachedLength(row), first: 1, drawn: 0 }));
    }
    // In the other's places, so that the shorter one lies where the longer one was.
    const numbers = [4, 8, 9, 200, 201, 202, 203, 204, 0, 0, 0, 1, 2, 3, 5, 6, 7, 100, 101, 102, 103, 104];
    expect(joined(joiner, [...from].reverse())).toEqual({ numbers, stored: 11 });
  });
});

describe("firstOf()", () => {
  it.each([
    [2, [1, 2]],
    [4, [1, 2, 3, 5]],
    [6, [1, 2, 3, 5, 6, 7]],
  ])("is the first %d positions of a row", (length, numbers) => {
    const part = firstOf(rows[0]!, length);
    expect(cachedLength(part)).toBe(length);
    expect(joined(new CacheJoiner(), [part]).numbers).toEqual(numbers);
  });
});
