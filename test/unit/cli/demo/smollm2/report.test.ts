import { type Distilled, summaryOf, tableRow } from "../../../../../services/cli/demo/smollm2/report.js";
import type { Evaluation, Sample } from "../../../../../services/cli/models/evaluate-model.js";
import type { RunHistory } from "../../../../../services/cli/runs/runs.js";
import { characterTokenizer } from "../../../../../services/shared/ml/text/character-tokenizer.js";

const tokenizer = characterTokenizer("abc");

function sample(text: string): Sample {
  const ids = Int32Array.from(tokenizer.encode(text));
  return { row: 0, prompt: "<|user|>q", reference: "", text, ids, divergence: Float32Array.from(ids, () => 1) };
}

function model(name: string, text: string, more: Partial<Distilled> = {}): Distilled {
  const evaluation = {
    forwardKl: 0.5,
    reverseKl: 0.25,
    rows: 1,
    greedySamples: [sample(text)],
    samples: [sample(text)],
  } as unknown as Evaluation;
  return { name, data: "24 layers", directory: "/models/x", evaluation, ...more };
}

const steps = [1, 2].map((step) => ({ step, seconds: 2 * step, divergence: 1 / step }));
const history = { steps, run: { runId: "full-1" } } as unknown as RunHistory;
const trained = model("in full", "cab", { history, seconds: 61.4, memory: { learner: 2.4e9, student: 1e9 } });

describe("the report of the demo on real weights", () => {
  it("has a row for each model: divergences, times and memory where it was trained", () => {
    expect(tableRow(trained)).toEqual(["in full", "24 layers", "0.500", "0.250", "61 s", "3.0 s", "2.4 GB", "1.0 GB", "–"]);
    expect(tableRow(model("start", "b"))).toEqual(["start", "24 layers", "0.500", "0.250", "–", "–", "–", "–", "–"]);
  });

  it("says what each model is, what it writes and how far the teacher is at each token", () => {
    const models = [model("teacher", "abc"), model("start", "bb"), trained];
    const facts = { teacher: "/models/<t>", layers: "24 of its 30 layers", prompts: "data.jsonl", steps: 2, seconds: 90 };
    const summary = summaryOf({ models, tokenizer, ...facts });
    expect(summary.paragraphs.join()).toMatch(/\/models\/<t>.*24 of its 30 layers.*2 on-policy steps.*data\.jsonl.*90 seconds/);
    expect(summary.models.map(({ name, aside, runId }) => [name, aside, runId])).toEqual([
      ["teacher", true, undefined],
      ["start", false, undefined],
      ["in full", false, "full-1"],
    ]);
    const last = summary.models.at(-1);
    expect(last?.facts).toContainEqual(["learner's peak memory", "2.4 GB"]);
    expect(last?.evaluation).toMatchObject({ prompts: 1, forwardKl: 0.5, reverseKl: 0.25 });
    expect(last?.evaluation.examples).toMatchObject([
      { row: 0, prompt: "<|user|>q", greedy: "cab", completion: "cab", tokens: ["c", "a", "b"], divergence: [1, 1, 1] },
    ]);
  });
});
