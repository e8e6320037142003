import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { presets } from "../../../services/shared/flow/runs/presets.js";
import { resolveRun } from "../../../services/shared/flow/runs/resolve.js";
import { parseSpec } from "../../../services/shared/flow/runs/spec.js";
import { checkSpec } from "../../support/runs/check-spec.js";

const root = resolve("deploy/examples");
// values/ holds values of the chart, which are no specs.
const files = (readdirSync(root, { recursive: true }) as string[]).filter((name) => name.endsWith(".yaml") && !name.startsWith("values/"));
const specOf = (name: string) => parseSpec(readFileSync(join(root, name), "utf8"), join(root, name));

describe("the example specs", () => {
  it.each(files)("%s is a run that could start, and says in its first lines what it is", (name) => {
    expect(checkSpec(specOf(name))).toEqual([]);
    expect(readFileSync(join(root, name), "utf8")).toMatch(/^# \S.*/);
  });

  it("show every preset, each as it is defined", () => {
    for (const [preset, { lambda, objective }] of Object.entries(presets)) {
      const spec = specOf(`presets/${preset}.yaml`);
      const [phase] = resolveRun(spec).phases;
      expect(spec.phases.map(({ preset }) => preset)).toEqual([preset]);
      if (preset !== "gkd") expect(phase!.lambda).toBe(lambda);
      expect(phase!.objective).toMatchObject(objective);
    }
  });
});
