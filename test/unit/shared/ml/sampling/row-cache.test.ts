import { generator } from "../../../../../services/shared/base/random.js";
import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import { type CachedRow, CacheJoiner, cachedLength, firstOf, placed } from "../../../../../services/shared/ml/sampling/row-cache.js";
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
  const { data, dims } = joiner.join(from)["k.0"]!;
  const [count, , positions] = dims as [number, number, number];
  const numbers = [...(data as Float32Array)];
  return Array.from({ length: count }, (_, b) => numbers.slice(b * positions, (b + 1) * positions));
};
/** The same without the zeros behind the longest row. */
const texts = (joiner: CacheJoiner, from: readonly (CachedRow | undefined)[]) => {
  const all = joined(joiner, from);
  const longest = Math.max(...from.map(cachedLength));
  for (const row of all) expect(row.slice(longest).every((x) => x === 0)).toBe(true);
  return all.map((row) => row.slice(0, longest));
};

describe("CacheJoiner", () => {
  it("puts what each row had, read and drew one behind another, and zeros behind that", () => {
    expect(texts(new CacheJoiner(config), [rows[1], undefined, rows[0]])).toEqual([
      [4, 8, 9, 0, 0, 0],
      [0, 0, 0, 0, 0, 0],
      [1, 2, 3, 5, 6, 7],
    ]);
    expect(joined(new CacheJoiner(config), [undefined])).toEqual([[]]);
  });

  it.each([
    ["without room for more", 0],
    ["with room for some", 30],
    ["with room for all", 3000],
  ])("gives every row what it has read, whichever stay, leave, move up and begin behind another, in arrays %s", (_, most) => {
    const random = generator(5n);
    const joiner = new CacheJoiner(config);
    interface Text {
      cached: CachedRow | undefined;
      numbers: number[];
    }
    let places: Text[] = [];
    for (let n = 1; n < 400; n++) {
      const kept = places.filter(() => random() % 5 !== 0);
      const fresh = Array.from({ length: random() % 3 }, (): Text => {
        const other = kept[random() % Math.max(1, kept.length)];
        if (!other?.cached || random() % 2) return { cached: undefined, numbers: [] };
        const length = 1 + (random() % other.numbers.length);
        return { cached: firstOf(other.cached, length), numbers: other.numbers.slice(0, length) };
      });
      places = placed(places, [...kept, ...fresh].slice(0, 7));
      if (places.length === 0) continue;
      const far = joiner.join(
        places.map(({ cached }) => cached),
        most,
      );
      const longest = Math.max(...places.map(({ numbers }) => numbers.length));
      const [, , positions] = far["k.0"]!.dims as [number, number, number];
      const data = [...(far["k.0"]!.data as Float32Array)];
      for (const [b, { numbers }] of places.entries())
        expect(data.slice(b * positions, (b + 1) * positions)).toEqual([
          ...numbers,
          ...new Array<number>(positions - numbers.length).fill(0),
        ]);
      expect(positions - longest).toBeLessThanOrEqual(32);
      const count = 1 + (random() % 6);
      const read = runOf(
        [[0]],
        places.map((_, b) => Array.from({ length: count }, (_, i) => n * 100 + b * 10 + i)),
        1,
      ).read;
      places.forEach((text, place) => {
        text.cached = { run: { far, read, longest: 1 }, place, before: cachedLength(text.cached), first: 1, drawn: count - 1 };
        text.numbers = [...text.numbers, ...Array.from({ length: count }, (_, i) => n * 100 + place * 10 + i)];
      });
    }
  });
});

describe("placed()", () => {
  it.each([
    ["keeps the place of those that stay", "abc", "cab", "abc"],
    ["gives places that were left to those that come", "abcd", "bdef", "ebfd"],
    ["lets the last move up where none comes", "abcde", "bce", "ebc"],
    ["puts more than were there behind them", "ab", "abcd", "abcd"],
    ["is empty where none is left", "ab", "", ""],
  ])("%s", (_, before, now, after) => {
    expect(placed([...before], [...now]).join("")).toBe(after);
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
    expect(texts(new CacheJoiner(config), [part])).toEqual([numbers]);
  });
});
