import { heldOutNeeds, rowProblems, trainingNeeds } from "../../../../../services/shared/flow/prompts/needs.js";
import type { Row } from "../../../../../services/shared/flow/prompts/row.js";
import { resolveRun } from "../../../../../services/shared/flow/runs/resolve.js";
import { parseSpec } from "../../../../../services/shared/flow/runs/spec.js";

const row = (fields: Partial<Row> = {}): Row => ({
  prompt: "p",
  completion: undefined,
  reference: undefined,
  teacher: undefined,
  columns: {},
  where: "d.jsonl line 1",
  number: 1,
  ...fields,
});
const needsOf = (body: string, of: typeof trainingNeeds | typeof heldOutNeeds = trainingNeeds) => {
  const spec = parseSpec(
    `name: a\nstudent: { model: s }\nteachers: [{ name: math, model: t }]\ndata: { path: d.jsonl }\n${body}`,
    "/x/spec.yaml",
  );
  return of(spec, resolveRun(spec))!;
};
const found = (rows: readonly Row[], body: string, of?: typeof trainingNeeds | typeof heldOutNeeds, whole?: boolean) =>
  rowProblems(rows, needsOf(body, of), ["question", "label"], whole).map(({ fieldPath, description }) => `${fieldPath} ${description}`);

const onPolicy = "phases: [{ preset: on_policy_kd, steps: 1 }]";

describe("rowProblems()", () => {
  it("wants nothing but prompts for on-policy distillation", () => {
    expect(found([row()], onPolicy)).toEqual([]);
  });

  it("names a teacher that the run does not have, its row, and those it has", () => {
    expect(found([row({ teacher: "math" }), row({ teacher: "physics" })], onPolicy)).toEqual([
      expect.stringMatching(/^data\.path row 2 of \/x\/d\.jsonl names the teacher "physics"; the run has: math\. .*data\.teacherField/),
    ]);
  });

  it.each(["{ preset: sft, steps: 1 }", "{ preset: gkd, steps: 1 }", "{ preset: gkd, lambda: 1, lambdaEnd: 0.5, steps: 1 }"])(
    "wants completions for %s, and names the columns there are",
    (phase) => {
      const body = `phases: [${phase}]`;
      expect(found([row()], body)).toEqual([
        expect.stringMatching(/^data\.completionField phases\[0\] .*has the columns question, label.*data\.generate/),
      ]);
      expect(found([row(), row({ completion: "c" })], body)).toEqual([]);
    },
  );

  it("wants no completions where a teacher writes them", () => {
    const spec = parseSpec(
      "name: a\nstudent: { model: s }\nteachers: [{ model: t }]\ndata: { path: d.jsonl, generate: {} }\nphases: [{ preset: seq_kd, steps: 1 }]",
      "s",
    );
    expect(trainingNeeds(spec, resolveRun(spec)).completions).toBeUndefined();
  });

  it("wants references for rewards that compare with them, and only for those", () => {
    const phases = "phases: [{ preset: rl_gkd, steps: 1 }]";
    expect(found([row()], `${phases}\nrewards: [{ kind: length, targetTokens: 3 }, { kind: numeric }]`)).toEqual([
      expect.stringMatching(/^data\.referenceField the reward numeric reads references.*question, label/),
    ]);
    expect(found([row()], `${phases}\nrewards: [{ kind: length, targetTokens: 3 }]`)).toEqual([]);
  });

  it("wants references for a metric, in the held-out rows", () => {
    const body = (evaluation: string) => `${onPolicy}\nevaluation: { path: h.jsonl${evaluation} }`;
    for (const setting of [", metric: numeric", ", passAt: [1]", ", keepBest: greedy"])
      expect(found([row()], body(setting), heldOutNeeds)).toEqual([
        expect.stringMatching(/^data\.referenceField evaluation\.\w+ is .*no row of \/x\/h\.jsonl has a reference.*question, label/),
      ]);
    expect(found([row()], body(""), heldOutNeeds)).toEqual([]);
    expect(found([row({ reference: "r" })], body(", metric: numeric"), heldOutNeeds)).toEqual([]);
  });

  it("does not say from the first rows that something is nowhere", () => {
    expect(found([row()], "phases: [{ preset: sft, steps: 1 }]", trainingNeeds, false)).toEqual([]);
  });
});
