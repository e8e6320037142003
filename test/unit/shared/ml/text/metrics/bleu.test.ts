import fc from "fast-check";
import { bleu, selfBleu } from "../../../../../../services/shared/ml/text/metrics/bleu.js";
import { textMetrics } from "../../../../../../services/shared/ml/text/metrics/table.js";

const sentence = fc.array(fc.constantFrom("a", "b", "c", "d"), { minLength: 1, maxLength: 12 }).map((words) => words.join(" "));

describe("textMetrics", () => {
  it.each(Object.entries(textMetrics).filter(([name]) => name !== "numeric"))(
    "%s lies in [0, 1], and is 1 for equal texts",
    (name, metric) => {
      fc.assert(
        fc.property(sentence, sentence, (x, y) => {
          expect(metric(x, y)).toBeGreaterThanOrEqual(0);
          expect(metric(x, y)).toBeLessThanOrEqual(1 + 1e-12);
          // A single word has no pair of words to share.
          if (name !== "rouge2" || x.includes(" ")) expect(metric(x, x)).toBeCloseTo(1, 12);
        }),
        { seed: 1 },
      );
    },
  );
});

describe("bleu()", () => {
  it("is 0 without any match, however smoothed", () => {
    expect(bleu("x y z", "a b c")).toBe(0);
  });

  it("punishes a candidate that is too short", () => {
    expect(bleu("a b c d", "a b c d e f g h")).toBeCloseTo(Math.exp(1 - 8 / 4), 12);
  });
});

describe("selfBleu()", () => {
  it("is 1 for copies and falls as texts differ", () => {
    expect(selfBleu(["a b c d", "a b c d"])).toBeCloseTo(1, 12);
    expect(selfBleu(["a b c d", "a b c e"])).toBeLessThan(1);
    expect(selfBleu(["a b c d", "e f g h"])).toBe(0);
  });

  it("does not depend on the order of the texts", () => {
    const texts = ["a b c d", "a b x d", "q r s t", "a b c"];
    expect(selfBleu(texts.toReversed())).toBeCloseTo(selfBleu(texts), 12);
  });

  it("has no value for fewer than two texts", () => {
    expect(selfBleu(["a b"])).toBeNaN();
  });
});
