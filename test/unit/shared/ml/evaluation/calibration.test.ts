import { type Answered, calibrationError, confidenceOf } from "../../../../../services/shared/ml/evaluation/calibration.js";
import { figuresOf, type JudgedSample } from "../../../../../services/shared/ml/evaluation/figures.js";

/** `count` answers of one confidence, the first of them right. */
const answers = (confidence: number, count: number, right: number): Answered[] =>
  Array.from({ length: count }, (_, i) => ({ confidence, right: i < right }));

describe("confidenceOf()", () => {
  it("is the geometric mean of the tokens' probabilities, whatever their number", () => {
    expect(confidenceOf(Float32Array.of(Math.log(0.5)))).toBeCloseTo(0.5, 6);
    expect(confidenceOf(Float32Array.of(Math.log(0.9), Math.log(0.4)))).toBeCloseTo(Math.sqrt(0.36), 6);
    expect(confidenceOf(new Float32Array(50).fill(Math.log(0.7)))).toBeCloseTo(0.7, 5);
  });

  it("isn't above 1 where rounding lifts a log-probability above 0", () => {
    expect(confidenceOf(Float32Array.of(1e-4))).toBe(1);
  });
});

describe("calibrationError()", () => {
  it("is 0 where the share that is right is what the confidence says", () => {
    expect(calibrationError([...answers(0.25, 4, 1), ...answers(0.75, 4, 3), ...answers(1, 2, 2)])).toBeCloseTo(0, 12);
  });

  it("weighs each bin's distance by its share of the answers", () => {
    // 0.95 said and 0.5 right in 8 answers, 0.15 said and none right in 2: 0.8 · 0.45 + 0.2 · 0.15.
    expect(calibrationError([...answers(0.95, 8, 4), ...answers(0.15, 2, 0)])).toBeCloseTo(0.39, 12);
  });

  it("doesn't set off what is too sure in one bin against what is too unsure in another", () => {
    const both = [...answers(0.95, 2, 0), ...answers(0.05, 2, 2)];
    expect(calibrationError(both)).toBeCloseTo(0.95, 12);
    // In one bin they do: the mean confidence and the share that is right are equal.
    expect(calibrationError([...answers(0.55, 1, 1), ...answers(0.5, 1, 0)])).toBeCloseTo(0.025, 12);
  });

  it("is undefined of nothing", () => {
    expect(calibrationError([])).toBeUndefined();
  });
});

describe("figuresOf() of confidences", () => {
  const options = { metric: "exact_match", passAt: [], selfBleuUnit: "word" } as const;
  const sample = (text: string, reference: string, confidence?: number): JudgedSample => ({
    ...{ prompt: 0, text, reference, tokens: 1 },
    ...(confidence === undefined ? {} : { confidence }),
  });

  it("compares them with the metric, where there is a reference", () => {
    const figures = figuresOf([sample("a", "a", 0.9), sample("b", "a", 0.9), sample("b", "", 0.3)], options);
    expect(figures.confidence).toBeCloseTo(0.7, 12);
    expect(figures.calibrationError).toBeCloseTo(0.4, 12);
  });

  it("has no calibration error by a metric that is no yes or no, and no confidence where nothing is known of it", () => {
    expect(figuresOf([sample("a", "a", 0.9)], { ...options, metric: "bleu" })).not.toHaveProperty("calibrationError");
    const figures = figuresOf([sample("a", "a")], options);
    expect(figures).not.toHaveProperty("confidence");
    expect(figures).not.toHaveProperty("calibrationError");
  });
});
