import { figuresOf, type JudgedSample } from "../../../../../services/shared/ml/evaluation/figures.js";
import { selfBleuOf } from "../../../../../services/shared/ml/evaluation/self-bleu.js";

const options = { metric: "exact_match", passAt: [], selfBleuUnit: "word" } as const;
const sample = (prompt: number, text: string, reference: string, rest: Partial<JudgedSample> = {}): JudgedSample => ({
  prompt,
  text,
  reference,
  tokens: text.length,
  ...rest,
});

describe("figuresOf()", () => {
  it("averages the metric over the completions that have a reference", () => {
    const samples = [sample(0, "a", "a"), sample(1, "b", "c"), sample(2, "d", "")];
    expect(figuresOf(samples, options)).toMatchObject({ quality: 0.5, length: 1 });
  });

  it("averages pass@k over prompts, whatever their number of samples", () => {
    const samples = [sample(0, "a", "a"), sample(0, "b", "a"), sample(0, "c", "a"), sample(1, "x", "a"), sample(1, "y", "a")];
    const { passAt } = figuresOf(samples, { ...options, passAt: [1, 2, 3] });
    expect(passAt).toEqual([
      { k: 1, value: expect.closeTo((1 / 3 + 0) / 2, 12) },
      { k: 2, value: expect.closeTo((2 / 3 + 0) / 2, 12) },
      // Only the first prompt has three samples.
      { k: 3, value: 1 },
    ]);
  });

  it("averages divergences over tokens, not over completions", () => {
    const divergences = (...values: number[]) => ({
      forwardKl: Float32Array.from(values),
      reverseKl: Float32Array.from(values, (x) => 2 * x),
      teacherNll: Float32Array.from(values, (x) => 3 * x),
    });
    const samples = [sample(0, "a", "", { divergences: divergences(1, 1, 1) }), sample(1, "b", "", { divergences: divergences(5) })];
    expect(figuresOf(samples, options)).toMatchObject({ forwardKl: 2, reverseKl: 4, teacherNll: 6 });
  });

  it("averages rewards over the completions that got one, and leaves out what was not measured", () => {
    const rewarded = [1, 5].map((x) => sample(x, "a", "", { reward: x, rewardComponents: { regex: x, length: 0.5 } }));
    const figures = figuresOf([...rewarded, sample(2, "b", "")], { ...options, metric: undefined });
    expect(figures.reward).toBe(3);
    expect(figures.rewardComponents).toEqual({ regex: 3, length: 0.5 });
    for (const absent of ["quality", "forwardKl", "teacherNll"]) expect(figures).not.toHaveProperty(absent);
  });
});

describe("selfBleuOf()", () => {
  it("compares the samples of one prompt with each other, not with those of others", () => {
    expect(
      selfBleuOf(
        [
          ["a b c d", "a b c d"],
          ["e f g h", "e f g h"],
        ],
        "word",
      ),
    ).toBeCloseTo(1, 12);
    expect(
      selfBleuOf(
        [
          ["a b c d", "e f g h"],
          ["a b c d", "e f g h"],
        ],
        "word",
      ),
    ).toBe(0);
  });

  it("compares all of them where each prompt has one", () => {
    expect(selfBleuOf([["a b c d"], ["a b c d"]], "word")).toBeCloseTo(1, 12);
    expect(selfBleuOf([["ab"], ["ab"]], "character")).toBeCloseTo(1, 12);
  });

  it("has no value for fewer than two texts", () => {
    expect(selfBleuOf([["a"]], "word")).toBeUndefined();
    expect(selfBleuOf([], "word")).toBeUndefined();
  });
});
