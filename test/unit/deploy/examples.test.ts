import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { CheckedRun } from "../../../services/controller/check/checked-run.js";
import { settingsWarnings } from "../../../services/controller/check/settings-warnings.js";
import { presets } from "../../../services/shared/flow/runs/presets.js";
import { resolveRun } from "../../../services/shared/flow/runs/resolve.js";
import { soundParts } from "../../../services/shared/flow/runs/sound-spec.js";
import { parseSpec } from "../../../services/shared/flow/runs/spec.js";
import type { ModelConfig } from "../../../services/shared/ml/models/config/model-config.js";
import { smolLm2 } from "../../support/models/known-shapes.js";
import { warningsOfRun } from "../../support/runs/check-run.js";
import { checkSpec } from "../../support/runs/check-spec.js";

const root = resolve("deploy/examples");
// values/ holds values of the chart, which are no specs.
const files = (readdirSync(root, { recursive: true }) as string[]).filter(
  (name) => name.endsWith(".yaml") && !/^(values|nats)\//.test(name),
);
const specOf = (name: string) => parseSpec(readFileSync(join(root, name), "utf8"), join(root, name));

/** Shapes of students whose files aren't in the repository: SmolLM2-135M as it is or cut, and for a vocabulary of 105 tokens. */
const shapes: Readonly<Record<string, ModelConfig>> = {
  "gsm8k.yaml": smolLm2,
  "other-tokenizer.yaml": smolLm2,
  "smollm2/lora.yaml": smolLm2,
  "smollm2/on-policy.yaml": smolLm2,
  "tinystories-more-seq-kd.yaml": { ...smolLm2, vocabSize: 105 },
  "tinystories.yaml": { ...smolLm2, vocabSize: 105 },
};

describe("the example specs", () => {
  it.each(files)("%s is a run that could start, and says in its first lines what it is", (name) => {
    expect(checkSpec(specOf(name))).toEqual([]);
    expect(readFileSync(join(root, name), "utf8")).toMatch(/^# \S.*/);
  });

  // Where the repository doesn't have its models, its settings are held against their shape.
  it.each(files)("%s has nothing to warn of", async (name) => {
    // Two have made the repository's own models: their outputs are there already.
    const spec = { ...specOf(name), output: "" };
    const shape = shapes[name];
    if (!shape) return expect(await warningsOfRun(spec)).toEqual([]);
    const { spec: sound } = soundParts(spec);
    const student = { config: spec.student?.init ? undefined : shape, rows: shape.vocabSize, adapted: false } as CheckedRun["student"];
    expect(settingsWarnings({ spec: sound, run: resolveRun(spec), student, teachers: [] })).toEqual([]);
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
