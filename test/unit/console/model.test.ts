import { create } from "@bufbuild/protobuf";
import { bestRow, columnsOf } from "../../../services/console/model/evaluation-table.js";
import { label, objectiveOf } from "../../../services/console/model/figures.js";
import { secondsLeft, smooth } from "../../../services/console/model/smooth.js";
import { specDiff } from "../../../services/console/model/spec-diff.js";
import { readSpec, specYaml } from "../../../services/console/model/spec-text.js";
import { measuresOf, scaleOf } from "../../../services/console/model/token-values.js";
import { blocks } from "../../../services/console/model/works.js";
import { EvaluationFinishedSchema, Work } from "../../../services/shared/gen/retort/v1/events_pb.js";

describe("smooth()", () => {
  it("changes nothing at weight 0, and a constant never", () => {
    expect(smooth([3, 1, 2], 0)).toEqual([3, 1, 2]);
    expect(smooth([5, 5, 5], 0.9)).toEqual([5, 5, 5]);
  });

  it("weighs by the formula, and goes around holes", () => {
    const [first, hole, last] = smooth([1, Number.NaN, 4], 0.5);
    expect([first, hole, last]).toEqual([1, Number.NaN, (0.5 * 1 + 4) / 1.5]);
  });
});

describe("secondsLeft()", () => {
  it("goes by the pace of the newest points", () => {
    expect(secondsLeft([1, 2, 3], [10, 12, 14], 13)).toBe(20);
  });

  it("isn't known before there is a pace", () => {
    expect([secondsLeft([], [], 10), secondsLeft([4], [2], 10)]).toEqual([undefined, undefined]);
  });
});

describe("specDiff()", () => {
  it("names the fields that differ, and no other", () => {
    const differences = specDiff([
      { seed: 1, phases: [{ steps: 4, preset: "gkd" }] },
      { seed: 1, phases: [{ steps: 5, preset: "gkd" }, { steps: 1 }] },
    ]);
    expect(differences).toEqual([
      { path: "phases[0].steps", values: ["4", "5"] },
      { path: "phases[1].steps", values: [undefined, "1"] },
    ]);
  });
});

describe("a spec's text", () => {
  const text = "name: a\nphases: [{ preset: on_policy_kd, steps: 3, objective: { divergence: jsd, beta: 0.25 } }]\n";

  it("is read back as it was", () => {
    const { spec } = readSpec(text);
    expect(readSpec(specYaml(spec)).spec).toEqual(spec);
  });

  it("is none without fields", () => {
    expect(() => readSpec("- a")).toThrow("RunSpec");
  });

  it("says what is minimised, so that different losses are kept apart", () => {
    expect(objectiveOf(readSpec(text).spec)).toBe("jsd beta 0.25");
    expect(objectiveOf(readSpec("phases: [{ preset: sft }, {}]").spec)).toBe("sft, then gkd");
    expect(objectiveOf(undefined)).toBe("");
  });
});

describe("label()", () => {
  it("is a figure's name in words", () => {
    expect([label("gradientNorm"), label("evaluation.reverseKl")]).toEqual(["gradient norm", "evaluation · reverse KL"]);
  });
});

describe("scaleOf()", () => {
  const sample = (divergence: number[], advantage: number[] = []) => ({ divergence, advantage });

  it("isn't stretched by one token, and is never empty", () => {
    const many = Array.from({ length: 99 }, (_, i) => i / 100);
    expect(scaleOf([sample([...many, 1000])], "divergence").most).toBeLessThan(1);
    expect([scaleOf([], "entropy").most, scaleOf([sample([0, 0])], "divergence").most]).toEqual([1, 1]);
  });

  it("goes by size where values have signs", () => {
    expect(scaleOf([sample([], [-3, 1])], "advantage").most).toBe(3);
  });

  it("is offered for what samples have", () => {
    expect(measuresOf([{ divergence: [1], entropy: [], advantage: [] } as never])).toEqual(["divergence"]);
  });
});

describe("blocks()", () => {
  const span = (work: Work, from: number, to?: number) => ({ work, from, to, message: "" });

  it("are cut at the window's edges; what goes on reaches its end", () => {
    const shown = blocks([span(Work.WAITING, 0, 4), span(Work.TRAINING, 4)], [3, 6], 0.1);
    expect(shown.map(({ work, from, to }) => [work, from, to])).toEqual([
      [Work.WAITING, 3, 4],
      [Work.TRAINING, 4, 6],
    ]);
  });

  it("that can't be seen are joined, so that a long run stays drawable", () => {
    const many = Array.from({ length: 5000 }, (_, i) => span(i % 2 ? Work.TRAINING : Work.WAITING, i / 1000, (i + 1) / 1000));
    expect(blocks(many, [0, 5], 0.05).length).toBeLessThanOrEqual(101);
  });
});

describe("the table of evaluations", () => {
  const of = (fields: object) => create(EvaluationFinishedSchema, { prompts: 40, metric: "exact_match", ...fields });

  it("has what was measured; the best row is that of the first column", () => {
    const rows = [of({ greedy: 0.2, reverseKl: 0.1 }), of({ greedy: 0.4, reverseKl: 0.3 })];
    expect([columnsOf(rows).map(({ name }) => name), bestRow(rows)]).toEqual([["greedy", "reverse KL"], 1]);
  });

  it("takes the least divergence for the best, where there is nothing else", () => {
    expect(bestRow([of({ reverseKl: 0.1 }), of({ reverseKl: 0.3 })])).toBe(0);
    expect(bestRow([of({})])).toBeUndefined();
  });

  it("has intervals on shares alone", () => {
    const words = (evaluation: ReturnType<typeof of>) => columnsOf([evaluation])[0]?.words(0.375, evaluation);
    expect([words(of({ greedy: 0.375 })), words(of({ greedy: 0.375, metric: "rouge_l" }))]).toEqual(["37.5 % [24.2, 53.0]", "0.3750"]);
  });
});
