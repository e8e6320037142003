import { Row } from "../../../../../services/shared/ml/sampling/row.js";
import { lengthOfRun, stepsWithin } from "../../../../../services/shared/ml/sampling/schedule.js";
import { smallModel } from "../../../../support/models/small-model.js";

describe("lengthOfRun()", () => {
  const rowsOf = (count: number, maxNewTokens: number, stopIds: readonly number[]) =>
    Array.from({ length: count }, (_, index) => {
      const params = { temperature: 1, topK: 0, topP: 1, maxNewTokens, stopIds };
      return new Row({ promptIds: Int32Array.of(3), seed: 1n }, index, { params, stops: new Set(stopIds) }, undefined);
    });
  const ending = (count: number) => rowsOf(count, 40, [2]);

  it.each([
    ["an eighth of the rows has ended while others wait", ending(32), 64, true, { steps: 40, enough: 28 }],
    ["a quarter has where none waits", ending(32), 64, false, { steps: 40, enough: 24 }],
    ["one of few has", ending(3), 64, false, { steps: 40, enough: 2 }],
    ["all have, where all end together", rowsOf(32, 40, []), 64, true, { steps: 40, enough: 0 }],
    ["the chunk is full", rowsOf(32, 100, []), 64, false, { steps: 64, enough: 24 }],
    ["the longest has no room", [...rowsOf(6, 5, []), ...rowsOf(2, 9, [])], 64, false, { steps: 9, enough: 6 }],
  ])("lets a run go on until %s", (_, rows, chunkTokens, isAnyWaiting, length) => {
    expect(lengthOfRun(rows, chunkTokens, isAnyWaiting)).toEqual(length);
  });
});

describe("stepsWithin()", () => {
  /** 64 KiB of keys and values for each position. */
  const config = { ...smallModel().config, layers: 16, kvHeads: 8, headDim: 64 };

  it.each([
    [1, 128],
    [8, 16],
    [1000, 1],
  ])("lets a run of %d rows read 8 MiB, and one step at least", (rows, steps) => expect(stepsWithin(config, rows)).toBe(steps));
});
