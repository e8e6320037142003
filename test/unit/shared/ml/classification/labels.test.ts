import { classOf, labelsIn } from "../../../../../services/shared/ml/classification/labels.js";

describe("labelsIn()", () => {
  it("takes the config's names, and transformers' where it has none", () => {
    expect(labelsIn({ id2label: { "0": "no", "1": "yes" } }, 2)).toEqual(["no", "yes"]);
    expect(labelsIn({ id2label: { "1": "yes" } }, 2)).toEqual(["LABEL_0", "yes"]);
    expect(labelsIn({}, 2)).toEqual(["LABEL_0", "LABEL_1"]);
  });
});

describe("classOf()", () => {
  it("finds a class by its name, or by its number if none is called so", () => {
    expect(classOf("yes", ["no", "yes"])).toBe(1);
    expect(classOf("1", ["no", "yes"])).toBe(1);
    expect(classOf("1", ["1", "0"])).toBe(0);
  });

  it("needs none where there is one logit", () => {
    expect(classOf("", ["LABEL_0"])).toBeUndefined();
    expect(() => classOf("good", ["LABEL_0"])).toThrow(/one logit, which is the reward: leave `label` out/);
  });

  it.each(["", "maybe", "2", "-1"])("says which classes there are for %p", (label) => {
    expect(() => classOf(label, ["no", "yes"])).toThrow(/classes: "no", "yes"/);
  });
});
