import { spanRanks } from "../../../../../services/shared/ml/text/span-ranks.js";

const none = Number.NEGATIVE_INFINITY;
/** A text of tokens of so many bytes, each with three classes of ids that are no matter. */
const readOf = (lengths: readonly number[], top: readonly (readonly number[])[], logprobs = lengths.map((_, m) => -(2 ** m))) => ({
  byteLengths: Uint16Array.from(lengths),
  logprobs: Float32Array.from(logprobs),
  ids: new Int32Array(lengths.length * 3),
  topLogprobs: Float32Array.from(top.flat().map(Math.log)),
  tail: Float32Array.from(top, (row) => Math.log(1 - row.reduce((sum, p) => sum + p, 0))),
  endId: undefined,
});
const written = (...lengths: number[]) => ({ byteLengths: Uint16Array.from(lengths) });
const probabilities = (logprobs: Float32Array) => [...logprobs].map((logprob) => Number(Math.exp(logprob).toFixed(6)));

describe("spanRanks()", () => {
  const rows = [
    [0.5, 0.25, 0.125],
    [0.4, 0.3, 0.2],
    [0.125, 0.5, 0.25],
  ];

  it("takes the teacher's distribution over the last of its tokens in each span, and the probability of those before", () => {
    const { known, before, topLogprobs, tail, k } = spanRanks(readOf([1, 2, 4], rows), written(3, 2, 2), 3, 9);
    expect([[...known], [...before], k]).toEqual([[1, 0, 1], [-1, 0, 0], 3]);
    // Of the middle token nothing is said. Ranks fall, in whatever order the classes came.
    expect(probabilities(topLogprobs)).toEqual([0.4, 0.3, 0.2, 0, 0, 0, 0.5, 0.25, 0.125]);
    expect(probabilities(tail)).toEqual([0.1, 1, 0.125]);
  });

  it("has as many ranks as the student has classes, and the others in the rest", () => {
    const { topLogprobs, tail, ids, k } = spanRanks(readOf([1], [[0.5, 0.25, 0.125]]), written(1), 1, 2);
    expect([k, [...ids], probabilities(topLogprobs), probabilities(tail)]).toEqual([2, [0, 1], [0.5, 0.25], [0.25]]);
  });

  it("says nothing of what lies behind the last border in common, and ends with the end token", () => {
    expect([...spanRanks(readOf([2, 1, 1], rows), written(2, 3), 2, 9).known]).toEqual([1, 0]);
    expect([...spanRanks(readOf([2, 2, 0], rows), written(1, 3, 0), 3, 9).known]).toEqual([0, 1, 1]);
  });

  it("stays a number where the teacher has ruled out what the student wrote", () => {
    const read = readOf([1, 1], rows.slice(0, 2), [none, -1]);
    expect([...spanRanks(read, written(2), 1, 9).before]).toEqual([-20]);
  });
});
