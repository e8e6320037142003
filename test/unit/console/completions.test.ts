import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { changeOf, differences, rowsOf, verdict } from "../../../services/console/model/completions.js";
import { bestRow } from "../../../services/console/model/evaluation-table.js";
import { binaryMetrics } from "../../../services/shared/flow/runs/binary-metrics.js";
import { EvaluationFinishedSchema, type ExampleSchema } from "../../../services/shared/gen/retort/v1/events_pb.js";
import { textMetrics } from "../../../services/shared/ml/text/metrics/table.js";

const evaluation = (...examples: MessageInitShape<typeof ExampleSchema>[]) => create(EvaluationFinishedSchema, { examples });

describe("rowsOf()", () => {
  it("brings the same rows together, whatever their order, and leaves out what one alone kept", () => {
    const before = evaluation({ row: 1, prompt: "a", greedy: "x" }, { row: 2, prompt: "b" }, { row: 3, prompt: "c" });
    const after = evaluation({ row: 3, prompt: "c" }, { row: 1, prompt: "a", greedy: "y" }, { row: 2, prompt: "other data" });
    const rows = rowsOf([before, after]);
    expect(rows.map(({ prompt }) => prompt)).toEqual(["a", "c"]);
    expect(rows[0]?.examples.map((example) => example?.greedy)).toEqual(["x", "y"]);
  });
});

describe("differences()", () => {
  const joined = (stretches: readonly { readonly text: string }[]) => stretches.map(({ text }) => text).join("");
  const marked = (stretches: readonly { readonly text: string; readonly own: boolean }[]) =>
    stretches.filter(({ own }) => own).map(({ text }) => text);

  it.each([
    ["three hundred forty six", "three hundred forty seven", ["six"], ["seven"]],
    ["one two", "one two", [], []],
    ["", "seven", [], ["seven"]],
    ["seven", "", ["seven"], []],
  ])("of %j and %j are the words that one alone has", (before, after, onlyBefore, onlyAfter) => {
    const [left, right] = differences(before, after);
    expect([joined(left), joined(right)]).toEqual([before, after]);
    expect([marked(left), marked(right)]).toEqual([onlyBefore, onlyAfter]);
  });

  it("of long texts that have nothing in common are found in a moment, and lose nothing", () => {
    const words = (word: string) => Array.from({ length: 20_000 }, (_, i) => `${word}${i}`).join(" ");
    const started = performance.now();
    const [left, right] = differences(words("a"), words("b"));
    expect(performance.now() - started).toBeLessThan(2000);
    expect([joined(left).length, joined(right).length]).toEqual([words("a").length, words("b").length]);
  });
});

describe("changeOf()", () => {
  const row = (before: MessageInitShape<typeof ExampleSchema>, after: MessageInitShape<typeof ExampleSchema>) =>
    rowsOf([evaluation(before), evaluation(after)])[0]!;

  it("goes by the metric, and by the text where there is none", () => {
    expect(changeOf(row({ greedy: "a", greedyQuality: 0 }, { greedy: "b", greedyQuality: 1 }), "greedy")).toBe("better");
    expect(changeOf(row({ greedy: "a", greedyQuality: 1 }, { greedy: "b", greedyQuality: 0 }), "greedy")).toBe("worse");
    expect(changeOf(row({ greedy: "a" }, { greedy: "b" }), "greedy")).toBe("changed");
    expect(changeOf(row({ greedy: "a", completion: "c" }, { greedy: "b", completion: "c" }), "sampled")).toBe("same");
  });
});

describe("verdict()", () => {
  it("is right or wrong where the metric is, and a number elsewhere", () => {
    expect(verdict(1, "numeric")).toEqual({ right: true, words: "right" });
    expect(verdict(0, "exact_match")).toEqual({ right: false, words: "wrong" });
    expect(verdict(0.5, "rouge_l")).toEqual({ words: "rouge_l 0.500" });
    expect(verdict(undefined, "exact_match")).toBeUndefined();
  });

  it("knows of metrics that there are, and that say 0 or 1", () => {
    for (const metric of binaryMetrics) {
      const measure = textMetrics[metric as keyof typeof textMetrics];
      expect([measure("7", "7"), measure("8", "7")]).toEqual([1, 0]);
    }
  });
});

describe("bestRow()", () => {
  const rows = [0.9, 0.2, 0.5].map((greedy) => create(EvaluationFinishedSchema, { greedy }));

  it("leaves out what the others aren't compared with", () => {
    expect([bestRow(rows), bestRow(rows, [0]), bestRow(rows, [0, 1, 2])]).toEqual([0, 2, undefined]);
  });
});
