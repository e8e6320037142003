import { editsBetween, nearest } from "../../../../services/shared/base/nearest.js";

describe("editsBetween()", () => {
  it.each([
    ["", "", 0],
    ["", "abc", 3],
    ["abc", "abc", 0],
    ["abc", "acb", 1],
    ["abc", "ab", 1],
    ["abc", "axc", 1],
    ["on_polcy_kd", "on_policy_kd", 1],
    ["kitten", "sitting", 3],
  ])("from %j to %j is %d, and back", (from, to, edits) => {
    expect([editsBetween(from, to), editsBetween(to, from)]).toEqual([edits, edits]);
  });
});

describe("nearest()", () => {
  const names = ["batchSize", "data", "phases", "student", "teachers"];
  it.each([
    ["studnet", "student"],
    ["BATCHSIZE", "batchSize"],
    ["teacher", "teachers"],
    ["dta", "data"],
  ])("finds what %s was meant to be", (word, meant) => expect(nearest(word, names)).toBe(meant));

  it("finds nothing near to what is another word", () => {
    for (const word of ["", "hunter2", "output", "da", "x".repeat(1e6)]) expect(nearest(word, names)).toBeUndefined();
  });
});
