import { Row } from "../../../../../services/shared/ml/sampling/row.js";
import { runFeeds } from "../../../../../services/shared/ml/sampling/run-feeds.js";
import { smallModel } from "../../../../support/models/small-model.js";

describe("runFeeds()", () => {
  const { config } = smallModel();
  const params = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 20, stopIds: [] };
  const rowOf = (...prompt: number[]) =>
    new Row({ promptIds: Int32Array.from(prompt), seed: 1n }, 0, { params, stops: new Set<number>() }, undefined);
  const numbers = (rows: readonly Row[], name: string) =>
    [...(runFeeds(config, rows, { steps: 2, enough: 0 })[name]!.data as Iterable<bigint>)].map(Number);

  it("has a prompt that several rows begin with once: they read and draw behind the same tokens", () => {
    const rows = [rowOf(3, 4, 5), rowOf(6, 7), rowOf(3, 4, 5)];
    expect(numbers(rows, "tokens")).toEqual([3, 4, 5, 6, 7]);
    expect(numbers(rows, "positions")).toEqual([0, 1, 2, 0, 1]);
    expect(numbers(rows, "rowOf")).toEqual([0, 0, 0, 1, 1]);
    expect(numbers(rows, "lastOf")).toEqual([2, 4, 2]);
    expect(numbers(rows, "tokenOf")).toEqual([0, 1, 2, 3, 4, 4, 0, 1, 2]);
  });

  it("has what a row reads behind something for itself", () => {
    const rows = [rowOf(3, 4), rowOf(3, 4)];
    const run = { far: {}, read: {}, longest: 2 };
    for (const row of rows) row.beginBehind({ run, place: 0, before: 0, first: 2, drawn: 3 });
    expect(numbers(rows, "tokens")).toEqual([4, 4]);
    expect(numbers(rows, "positions")).toEqual([1, 1]);
    expect(numbers(rows, "cached")).toEqual([1, 1]);
  });
});
