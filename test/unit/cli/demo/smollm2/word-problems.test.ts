import { wordProblems } from "../../../../../services/cli/demo/smollm2/word-problems.js";

describe("wordProblems()", () => {
  it("gives so many different questions, the same of the same seed", () => {
    const problems = wordProblems(300, 1n);
    expect(new Set(problems).size).toBe(300);
    expect(wordProblems(300, 1n)).toEqual(problems);
    expect(wordProblems(300, 2n)).not.toEqual(problems);
  });

  it("asks for a number, and names two people where there are two", () => {
    for (const problem of wordProblems(300, 1n)) {
      expect(problem).toMatch(/\d.*\?$/);
      expect(problem).not.toMatch(/undefined|NaN/);
      const [, first, second] = /^(\w+) and (\w+) share/.exec(problem) ?? [];
      if (first) expect(second).not.toBe(first);
    }
  });
});
