import { parseSpec } from "../../../../../services/shared/flow/runs/spec.js";
import { checkSpec } from "../../../../support/runs/check-spec.js";

const teacher = "teachers: [{ model: t }]";
const spec = (evaluation: string, more: string) =>
  parseSpec(
    `
name: evaluated
student: { model: s }
data: { path: d.jsonl }
phases: [{ preset: sft, steps: 1 }]
evaluation: ${evaluation}
${more}`,
    "spec.yaml",
  );
const problems = (evaluation: string, more: string) =>
  checkSpec(spec(evaluation, more)).map(({ fieldPath, description }) => `${fieldPath} ${description}`);

describe("an evaluation in a run's spec", () => {
  it("may ask for everything at once", () => {
    const all =
      "{ path: h.jsonl, samplesPerPrompt: 8, passAt: [1, 8], temperatures: [0.3, 1], metric: numeric, keepBest: reward, selfBleuUnit: character }";
    expect(problems(all, "teachers: [{ model: t }]\nrewards: [{ kind: numeric }]")).toEqual([]);
  });

  it.each<[string, string, RegExp, string]>([
    [
      "a k beyond the samples",
      "{ path: h.jsonl, passAt: [1, 8], samplesPerPrompt: 4 }",
      /^evaluation\.passAt is 8; .*samplesPerPrompt is 4/,
      teacher,
    ],
    [
      "pass@k by a metric that is no yes or no",
      "{ path: h.jsonl, passAt: [1], metric: rouge_l }",
      /^evaluation\.metric is rouge_l.*exact_match/,
      teacher,
    ],
    ["a metric that there is not", "{ path: h.jsonl, metric: beauty }", /^evaluation\.metric .*exact_match/s, teacher],
    ["a temperature of 0", "{ path: h.jsonl, temperatures: [0] }", /^evaluation\.temperatures\[0\]/, teacher],
    ["a figure that there is not", "{ path: h.jsonl, keepBest: beauty }", /^evaluation\.keepBest/, teacher],
    [
      "a best reward without rewards",
      "{ path: h.jsonl, keepBest: reward }",
      /^evaluation\.keepBest is reward, and `rewards` is empty/,
      teacher,
    ],
    ["a best divergence without a teacher", "{ path: h.jsonl, keepBest: reverse_kl }", /^evaluation\.keepBest is reverse_kl/, ""],
    ["no rows", "{ everySteps: 5 }", /^evaluation give either `path`.*`holdOut`/, teacher],
  ])("is refused with %s", (_, evaluation, message, more) => {
    const found = problems(evaluation, more);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(message);
  });
});
