import { ascending, descending, wider } from "../../../../services/reproduce/plan/contrasts.js";
import { estimate, overall, verdictOf } from "../../../../services/reproduce/report/statistics.js";

describe("estimate()", () => {
  it("gives the mean and the standard error of the mean", () => {
    // Sample variance of 1, 2, 4, 5 is 10/3.
    expect(estimate([1, 2, 4, 5])).toEqual({ mean: 3, standardError: Math.sqrt(10 / 3 / 4), count: 4 });
  });

  it("has no error for one value, and leaves out what was not measured", () => {
    expect(estimate([2, Number.NaN])).toEqual({ mean: 2, standardError: Number.NaN, count: 1 });
    expect(estimate([]).count).toBe(0);
  });
});

describe("verdictOf()", () => {
  // One-sided 95 % quantile of t with 4 degrees of freedom: 2.132.
  it.each([
    [2.2, "shown"],
    [2.1, "leans"],
    [0, "absent"],
    [-2.1, "absent"],
    [-2.2, "reversed"],
  ])("of a mean of %d standard errors over five seeds is %s", (mean, verdict) => {
    expect(verdictOf({ mean, standardError: 1, count: 5 })).toBe(verdict);
  });

  it("asks more of two seeds than of five", () => {
    expect(verdictOf({ mean: 3, standardError: 1, count: 2 })).toBe("leans");
    expect(verdictOf({ mean: 6.4, standardError: 1, count: 2 })).toBe("shown");
  });

  it("of one seed can only lean, and of none is unmeasured", () => {
    expect(verdictOf(estimate([5]))).toBe("leans");
    expect(verdictOf(estimate([-5]))).toBe("absent");
    expect(verdictOf(estimate([Number.NaN]))).toBe("unmeasured");
  });
});

describe("overall()", () => {
  it.each([
    [["shown", "shown"], "shown"],
    [["shown", "leans"], "partly shown"],
    [["leans", "absent"], "partly shown"],
    [["absent"], "not shown"],
    [["shown", "reversed"], "mixed"],
    [["leans", "absent", "reversed"], "reversed"],
    [[], "not shown"],
  ] as const)("of %j is %s", (verdicts, expected) => {
    expect(overall(verdicts)).toBe(expected);
  });
});

describe("contrasts", () => {
  const values: Readonly<Record<string, number>> = { a: 3, b: 2, c: 0 };
  const reading = (arm: string): number => values[arm] ?? Number.NaN;
  const evaluated = (list: readonly { says: string; value: (r: typeof reading) => number }[]) =>
    list.map(({ says, value }) => [says, value(reading)]);

  it("of a descending list compare neighbours, and the ends", () => {
    const pairs = evaluated(descending(["a", "b", "c"], "m"));
    expect(pairs).toEqual([
      ["a > b", 1],
      ["a > c", 3],
      ["b > c", 2],
    ]);
    expect(evaluated(ascending(["c", "a"], "m"))).toEqual([["c < a", 3]]);
  });

  it("of a list with arms that were not run compare the neighbours among the others", () => {
    const between = Object.fromEntries(descending(["a", "b", "c", "d"], "m").map((one) => [one.says, one.between]));
    expect(between).toEqual({
      "a > b": undefined,
      "a > c": ["b"],
      "a > d": undefined,
      "b > c": undefined,
      "b > d": ["c"],
      "c > d": undefined,
    });
  });

  it("of spreads compare the widest differences over the arms that were run", () => {
    expect(wider("", [["a", "c"], "m"], [["a", "b"], "m"]).value(reading)).toBe(2);
    expect(wider("", [["a", "c", "x"], "m"], [["a", "b"], "m"]).value(reading)).toBe(2);
    expect(wider("", [["a", "x"], "m"], [["a", "b"], "m"]).value(reading)).toBeNaN();
  });
});
