import { exactMatch, normalizedMatch, numericAnswer, numericMatch } from "../../../../../../services/shared/ml/text/metrics/answers.js";

describe("exactMatch()", () => {
  it("ignores white space at the ends only", () => {
    expect(exactMatch(" forty two\n", "forty two")).toBe(1);
    expect(exactMatch("forty  two", "forty two")).toBe(0);
    expect(exactMatch("Forty two", "forty two")).toBe(0);
  });
});

describe("normalizedMatch()", () => {
  it.each([
    ["The Eiffel Tower.", "eiffel  tower", 1],
    ["an apple", "apple", 1],
    ["theatre", "atre", 0],
    ["it's", "its", 1],
    ["", "the", 1],
    ["two", "three", 0],
  ])("%j against %j is %d", (candidate, reference, value) => {
    expect(normalizedMatch(candidate, reference)).toBe(value);
  });
});

describe("numericAnswer()", () => {
  it.each<[string, number | undefined]>([
    ["16 - 3 - 4 = <<16-3-4=9>>9\n#### 18", 18],
    ["#### 1,234,567", 1234567],
    ["#### $-1,000.50 dollars", -1000.5],
    ["#### -7\n#### 8", -7],
    ["#### none", undefined],
    ["the answer is 3.", 3],
    ["the answer is 3.25!", 3.25],
    ["10-3", 3],
    ["(5)-3", 3],
    ["it fell to −4 degrees", -4],
    ["about .5", 0.5],
    ["one of 1, 2, 3", 3],
    ["1,2", 2],
    ["no number", undefined],
    ["", undefined],
  ])("finds in %j the number %p", (text, value) => {
    expect(numericAnswer(text)).toBe(value);
  });
});

describe("numericMatch()", () => {
  it("compares values, not spellings", () => {
    expect(numericMatch("So it is $1,000.0", "long story\n#### 1000")).toBe(1);
    expect(numericMatch("So it is 999", "#### 1000")).toBe(0);
  });

  it("is 0 without an answer, even if the reference has none either", () => {
    expect(numericMatch("unknown", "unknown")).toBe(0);
  });
});
