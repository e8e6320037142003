import * as echarts from "echarts";
import { type Distilled, reportHtml, tableRow } from "../../../../../services/cli/demo/smollm2/report.js";
import type { Evaluation, Sample } from "../../../../../services/cli/models/evaluate-model.js";
import type { RunHistory } from "../../../../../services/cli/runs/runs.js";
import { characterTokenizer } from "../../../../../services/shared/ml/text/character-tokenizer.js";

const tokenizer = characterTokenizer("abc");

function sample(text: string): Sample {
  const ids = Int32Array.from(tokenizer.encode(text));
  return { row: 0, prompt: "<|user|>q", reference: "", text, ids, confidence: 0.5, divergence: Float32Array.from(ids, () => 1) };
}

function model(name: string, text: string, more: Partial<Distilled> = {}): Distilled {
  const evaluation = { forwardKl: 0.5, reverseKl: 0.25, greedySamples: [sample(text)], samples: [sample(text)] } as unknown as Evaluation;
  return { name, data: "24 layers", directory: "/models/x", evaluation, ...more };
}

const steps = [1, 2].map((step) => ({ step, seconds: 2 * step, divergence: 1 / step }));
const history = { steps } as unknown as RunHistory;
const trained = model("in full", "cab", { history, seconds: 61.4, memory: { learner: 2.4e9, student: 1e9 } });

describe("the report of the demo on real weights", () => {
  it("has a row for each model: divergences, times and memory where it was trained", () => {
    expect(tableRow(trained)).toEqual(["in full", "24 layers", "0.500", "0.250", "61 s", "3.0 s", "2.4 GB", "1.0 GB", "–"]);
    expect(tableRow(model("start", "b"))).toEqual(["start", "24 layers", "0.500", "0.250", "–", "–", "–", "–", "–"]);
  });

  it("shows what each model writes, side by side, and each token's divergence, as text", () => {
    const models = [model("teacher", "abc"), model("start", "bb"), trained];
    const facts = { teacher: "/models/<t>", layers: "24 of its 30 layers", prompts: "data.jsonl", steps: 2, seconds: 90 };
    const html = reportHtml({ models, tokenizer, ...facts }, echarts);
    expect(html).toContain(
      "<tr><td><code>&lt;|user|&gt;q</code></td><td><code>abc</code></td><td><code>bb</code></td><td><code>cab</code></td></tr>",
    );
    expect(html).toMatch(/title="1\.000 nats">c<\/span><span [^>]*>a<\/span><span [^>]*>b<\/span>/);
    expect(html).toContain("/models/&lt;t&gt;");
    expect(html).toContain("24 of its 30 layers");
    expect(html).toMatch(/<svg[\s\S]*in full/);
  });
});
