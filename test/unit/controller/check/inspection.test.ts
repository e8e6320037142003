import { modelProblems, specProblems } from "../../../../services/controller/check/inspection.js";
import { specOf } from "../../../support/run-spec.js";

const rounds = "{% for i in range(1000) %}{% for j in range(900) %}{% endfor %}{% endfor %}";

describe("specProblems()", () => {
  it("leaves the controller's thread free while a template is tried out", async () => {
    const reward = { kind: "classifier", model: "/m", template: `{{ completion }}${rounds}` };
    let [last, longest] = [performance.now(), 0];
    const watch = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 10);
    const started = performance.now();
    const problems = await specProblems(specOf({ rewards: [reward, reward, reward] }));
    const took = performance.now() - started;
    clearInterval(watch);
    expect(problems).toEqual([]);
    // Rendered here, it would have stood still nearly all the time.
    expect(longest).toBeLessThan(Math.max(500, took / 2));
  });

  it("finds what checkSpec() finds", async () => {
    expect(await specProblems(specOf({ phases: [{ steps: 1, lambda: 2 }] }))).toMatchObject([{ fieldPath: "phases[0].lambda" }]);
  });
});

describe("modelProblems()", () => {
  it("names what is not there", async () => {
    const problems = await modelProblems(specOf({ student: { model: "/nowhere" } }));
    expect(problems).toContainEqual({ fieldPath: "student.model", description: expect.stringContaining("/nowhere") });
  });
});
