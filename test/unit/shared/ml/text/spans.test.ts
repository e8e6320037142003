import fc from "fast-check";
import { commonSpans } from "../../../../../services/shared/ml/text/spans.js";

const spansOf = (own: number[], other: number[]) =>
  commonSpans(own, other).map((span) => [span.from, span.to, span.otherFrom, span.otherTo]);

/** A text of so many bytes, cut at some of its borders. */
const cut = (bytes: number, borders: readonly boolean[]): number[] => {
  const lengths = [1];
  for (let at = 1; at < bytes; at++) {
    if (borders[at]) lengths.push(1);
    else lengths[lengths.length - 1]!++;
  }
  return lengths;
};
const tokenizations = fc
  .integer({ min: 1, max: 40 })
  .chain((bytes) =>
    fc.tuple(...[0, 1].map(() => fc.array(fc.boolean(), { minLength: bytes, maxLength: bytes }).map((borders) => cut(bytes, borders)))),
  );
const bordersOf = (lengths: readonly number[]): number[] => lengths.map((_, n) => lengths.slice(0, n + 1).reduce((a, b) => a + b, 0));

describe("commonSpans()", () => {
  it.each([
    [
      "one token on both sides",
      [3, 2],
      [3, 2],
      [
        [0, 1, 0, 1],
        [1, 2, 1, 2],
      ],
    ],
    ["several on one side", [5], [1, 2, 2], [[0, 1, 0, 3]]],
    [
      "borders that cross",
      [2, 3, 1],
      [3, 2, 1],
      [
        [0, 2, 0, 2],
        [2, 3, 2, 3],
      ],
    ],
    [
      "end tokens on both sides",
      [2, 0],
      [1, 1, 0],
      [
        [0, 1, 0, 2],
        [1, 2, 2, 3],
      ],
    ],
    ["nothing but end tokens", [0], [0], [[0, 1, 0, 1]]],
    ["an end token on one side", [2, 0], [1, 1], [[0, 1, 0, 2]]],
    ["a text that one side reads further", [2, 2], [2, 1], [[0, 1, 0, 1]]],
    ["a token without bytes before a word", [0, 4], [2, 2], [[0, 2, 0, 2]]],
    ["no border in common", [2], [3], []],
    ["nothing on one side", [], [3], []],
  ])("of %s", (_, own, other, spans) => {
    expect(spansOf(own, other)).toEqual(spans);
  });

  it("cut a text exactly at the borders that both have, however it is cut", () => {
    fc.assert(
      fc.property(tokenizations, ([own, other]) => {
        const spans = commonSpans(own!, other!);
        const common = bordersOf(own!).filter((border) => bordersOf(other!).includes(border));
        expect(spans.map(({ to }) => bordersOf(own!)[to - 1])).toEqual(common);
        expect(spans.map(({ otherTo }) => bordersOf(other!)[otherTo - 1])).toEqual(common);
        expect(spans.map(({ from }) => from)).toEqual([0, ...spans.slice(0, -1).map(({ to }) => to)]);
      }),
    );
  });
});
