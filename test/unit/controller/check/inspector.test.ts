import { checkRun } from "../../../../services/controller/check/inspector.js";
import { example } from "../../../support/runs/run-bench.js";
import { specOf } from "../../../support/runs/run-spec.js";

const rounds = "{% for i in range(1000) %}{% for j in range(900) %}{% endfor %}{% endfor %}";
const models = {
  student: { model: example("models/student") },
  teachers: [{ model: example("models/teacher") }],
  data: { path: example("data/train.jsonl") },
  phases: [{ steps: 3, sampling: { maxNewTokens: 32 } }],
};

describe("checkRun()", () => {
  it("leaves the controller's thread free while a template is tried out", async () => {
    const reward = { kind: "classifier", model: "/m", template: `{{ completion }}${rounds}` };
    let [last, longest] = [performance.now(), 0];
    const watch = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 10);
    const started = performance.now();
    await checkRun(specOf({ teachers: [], student: {}, rewards: [reward, reward, reward] }));
    const took = performance.now() - started;
    clearInterval(watch);
    // Rendered here, it would have stood still nearly all the time.
    expect(longest).toBeLessThan(Math.max(500, took / 2));
  });

  it("accepts a run, and says what its spec leaves open", async () => {
    const verdict = await checkRun(specOf(models));
    expect(verdict).toMatchObject({ warnings: [], run: { totalSteps: 3 }, spec: { phases: [{ objective: { signal: "full" } }] } });
  });

  it("says what its teacher's process says of a directory that is no model", async () => {
    const nowhere = await checkRun(specOf({ ...models, teachers: [{ model: "/nowhere" }] }));
    expect(nowhere).toEqual({ problems: [{ fieldPath: "teachers[0].model", description: expect.stringContaining("/nowhere") }] });
  });

  it("compares vocabularies that differ, as their owners tell of them", async () => {
    const other = example("models/teacher").replace("deploy/examples/num2words/models/teacher", "test/golden/fixtures/models/llama");
    expect(await checkRun(specOf({ ...models, teachers: [{ model: other }] }))).toEqual({
      problems: [
        { fieldPath: "teachers[0].model", description: expect.stringMatching(/id \d+ is ".*" to the student and ".*" to the teacher/) },
      ],
    });
  });
});
