import { compute, spelled } from "../../../../services/shared/tasks/arithmetic.js";

describe("compute()", () => {
  it.each<[string, number]>([
    ["1+2*3", 7],
    ["(1+2)*3", 9],
    ["8-3-2", 3],
    ["8/4/2", 1],
    ["-2*-3", 6],
    ["2*(3+4)*5-1", 69],
    [" .5 + 1.25 ", 1.75],
    ["-(2+3)", -5],
  ])("%s is %d", (expression, value) => {
    expect(compute(expression)).toEqual({ value });
  });

  it.each<[string, RegExp]>([
    ["", /empty/],
    ["1/0", /division by zero/],
    ["1/(2-2)", /division by zero/],
    ["2+", /a number is missing/],
    ["2 3", /"3" is not expected/],
    ["(1", /bracket is not closed/],
    ["1)", /"\)" is not expected/],
    ["*2", /"\*" is missing or misplaced/],
    ["1+a", /"a" is no number/],
    ["process.exit()", /"p" is no number/],
    ["9".repeat(400), /not finite/],
    ["(".repeat(200), /brackets within each other/],
    ["-".repeat(500), /brackets within each other/],
    ["1+".repeat(600), /more than 1000 characters/],
  ])("of %s says why there is nothing", (expression, problem) => {
    expect(compute(expression)).toEqual({ problem: expect.stringMatching(problem) });
  });

  it("spells numbers as people do", () => {
    expect([0.1 + 0.2, 100, -3.5, 1 / 3, 2 ** 60].map(spelled)).toEqual(["0.3", "100", "-3.5", "0.333333333333", "1152921504610000000"]);
  });
});
