import { followedVersion, newestFollowed } from "../../../../../services/shared/flow/runs/follow.js";
import { resolveRun } from "../../../../../services/shared/flow/runs/resolve.js";
import { parseSpec } from "../../../../../services/shared/flow/runs/spec.js";
import { checkSpec } from "../../../../support/runs/check-spec.js";

describe("followedVersion()", () => {
  const versions = (everySteps: number, maxStaleness: number, fromStep: number, steps: number) =>
    Array.from({ length: steps }, (_, i) => followedVersion({ everySteps }, { step: fromStep + i + 1, maxStaleness, fromStep }));

  it("is the newest that is a multiple, and there before the step's completions are sampled", () => {
    expect(versions(3, 0, 0, 8)).toEqual([0, 0, 0, 3, 3, 3, 6, 6]);
    expect(versions(3, 1, 0, 8)).toEqual([0, 0, 0, 0, 3, 3, 3, 6]);
    expect(versions(1, 0, 0, 4)).toEqual([0, 1, 2, 3]);
  });

  it("is the same behind every checkpoint of a synchronous run", () => {
    const whole = versions(4, 0, 0, 30);
    for (let from = 0; from < 30; from++) expect(versions(4, 0, from, 30 - from)).toEqual(whole.slice(from));
  });

  it("is none before the one that a checkpoint brings, and never falls", () => {
    for (const maxStaleness of [1, 3])
      for (let from = 0; from < 20; from++) {
        const after = versions(4, maxStaleness, from, 12);
        expect(Math.min(...after)).toBe(newestFollowed({ everySteps: 4 }, from));
        expect(after).toEqual([...after].sort((a, b) => a - b));
      }
  });
});

describe("a teacher's `follow`", () => {
  const specOf = (teachers: string, more = "") =>
    parseSpec(
      `name: x\nstudent: { model: models/student }\nteachers: [${teachers}]\ndata: { path: rows.jsonl }\n${more || "phases: [{ steps: 40 }]"}`,
      "/specs/spec.yaml",
    );
  const following = "model: models/student, follow: { everySteps: 10 }";
  const problemsOf = (teachers: string, more?: string) =>
    checkSpec(specOf(teachers, more)).map(({ fieldPath, description }) => `${fieldPath}: ${description}`);

  it("names the teachers and their steps", () => {
    const spec = specOf(`{ name: a, ${following} }, { name: b, model: models/teacher }, { ${following} }`);
    expect(checkSpec(spec)).toEqual([]);
    expect(resolveRun(spec).follow).toEqual({ teachers: ["a", "default"], everySteps: 10 });
    expect(resolveRun(specOf("{ model: models/teacher }")).follow).toBeUndefined();
  });

  it("has an average with every version", () => {
    const spec = specOf("{ name: a, model: models/student, follow: { ema: 0.99 } }");
    expect(checkSpec(spec)).toEqual([]);
    expect(resolveRun(spec).follow).toEqual({ teachers: ["a"], everySteps: 1, decay: 0.99 });
  });

  it.each([
    [
      "another model",
      "{ model: models/teacher, follow: { everySteps: 10 } }",
      /^teachers\[0\]\.model: is .*models\/teacher, and a teacher that follows the student is .*models\/student/,
    ],
    ["a server", `{ ${following}, server: { url: "http://there/v1" } }`, /^teachers\[0\]\.follow: .*`server` runs it elsewhere/],
    ["a pool", `{ ${following}, shared: {} }`, /^teachers\[0\]\.follow: .*`shared` lets runs share it/],
    ["an ensemble", `{ ${following}, ensemble: [{ model: models/teacher }] }`, /^teachers\[0\]\.follow: .*ensemble/],
    [
      "different steps",
      `{ name: a, ${following} }, { name: b, model: models/student, follow: { everySteps: 5 } }`,
      /^teachers\[1\]\.follow: is everySteps 5, and that of another teacher everySteps 10/,
    ],
    [
      "another way than another's",
      `{ name: a, ${following} }, { name: b, model: models/student, follow: { ema: 0.9 } }`,
      /^teachers\[1\]\.follow: is ema 0\.9, and that of another teacher everySteps 10/,
    ],
    ["two ways", "{ model: models/student, follow: { everySteps: 2, ema: 0.9 } }", /^teachers\[0\]\.follow: say how/],
    ["an average that stays", "{ model: models/student, follow: { ema: 1 } }", /^teachers\[0\]\.follow\.ema: /],
    ["an average of nothing", "{ model: models/student, follow: { ema: 0 } }", /^teachers\[0\]\.follow\.ema: /],
    ["no way to follow", "{ model: models/student, follow: {} }", /^teachers\[0\]\.follow: say how/],
    ["zero steps", "{ model: models/student, follow: { everySteps: 0 } }", /^teachers\[0\]\.follow\.everySteps: /],
    [
      "a run that ends before",
      "{ model: models/student, follow: { everySteps: 39 } }",
      /^teachers\[0\]\.follow: is everySteps 39, and the last step, 40, is taught by a version at least 2 steps old/,
    ],
  ])("is refused with %s", (_, teachers, problem) => {
    expect(problemsOf(teachers)).toEqual([expect.stringMatching(problem)]);
  });

  it("is refused with a tokenizer of its own", () => {
    expect(problemsOf(`{ ${following}, tokenizer: own }`)).toContainEqual(
      expect.stringMatching(/^teachers\[0\]\.tokenizer: is own, and a teacher that follows the student has the student's/),
    );
  });

  it("is refused with a student from scratch, which begins as no model", () => {
    const init = "{ architecture: llama, hiddenSize: 8, intermediateSize: 8, layers: 1, heads: 1 }";
    const text = `name: x\nstudent: { init: ${init} }\nteachers: [{ ${following} }]\ndata: { path: rows.jsonl }\nphases: [{ steps: 40 }]`;
    const problems = checkSpec(parseSpec(text, "/specs/spec.yaml"));
    expect(problems).toEqual([{ fieldPath: "teachers[0].follow", description: expect.stringContaining("student.init") }]);
  });
});
