import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { clone, toJsonString } from "@bufbuild/protobuf";
import { found } from "../../services/shared/base/found.js";
import { closedValue } from "../../services/shared/flow/runs/closed-value.js";
import { presets } from "../../services/shared/flow/runs/presets.js";
import { needsScore, resolveRun } from "../../services/shared/flow/runs/resolve.js";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import { Source } from "../../services/shared/gen/retort/v1/flow_pb.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { type RunSpec, RunSpecSchema } from "../../services/shared/gen/retort/v1/run_spec_pb.js";
import { LocalCluster } from "../support/runs/local-run.js";

const steps = 3;

function example(preset: string): RunSpec {
  const path = resolve(`deploy/examples/presets/${preset}.yaml`);
  return parseSpec(readFileSync(path, "utf8"), path);
}

/** What examples must have in common to be phases of one run: models, data and rewards. */
const setting = (spec: RunSpec): string =>
  toJsonString(RunSpecSchema, { ...clone(RunSpecSchema, spec), name: "any", phases: [], evaluation: undefined, rollouts: undefined });

const settings = new Map<string, string[]>();
for (const preset of Object.keys(presets)) {
  const key = setting(example(preset));
  settings.set(key, [...(settings.get(key) ?? []), preset]);
}

// Every method of the field by its example spec, cut to a few small steps: those over the same models and data one after the other.
describe("the examples of presets", () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
  });
  afterAll(() => cluster.stop());

  it.each(Object.keys(presets))("%s can run as it is", async (preset) => {
    expect((await cluster.controller.validateRun({ spec: example(preset) })).problems).toEqual([]);
  });

  it.each([...settings.values()].map((names) => [names.join(", "), names] as const))("%s: trains", async (_, names) => {
    const spec = example(names[0]!);
    spec.evaluation = undefined;
    spec.phases = names.flatMap((preset) => example(preset).phases);
    // The first rows are those that the student was fine-tuned on, where rewards hardly differ; a teacher need not write all.
    if (spec.data!.generate) spec.data!.limit = 32;
    for (const phase of spec.phases) Object.assign(phase, { steps, batchSize: 16 });
    const started = await cluster.controller.startRun({ spec });
    const { run, events } = await cluster.watch(started.run!.runId);
    expect([run.state, run.message]).toEqual([RunState.SUCCEEDED, ""]);
    const finished = events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value] : []));
    expect(finished.map(({ step }) => step)).toEqual(Array.from({ length: steps * names.length }, (_, i) => i + 1));
    for (const [i, { source, gradientNorm, failedPrompts, signalBytesPerToken, reward }] of finished.entries()) {
      const preset = names[Math.floor(i / steps)]!;
      const { lambda } = presets[closedValue("PhaseSpec.preset", preset)];
      const { objective } = found(resolveRun(example(preset)).phases[0], "the preset's phase");
      expect(failedPrompts).toBe(0);
      expect(gradientNorm).toBeGreaterThan(0);
      if (lambda === 0) expect(source).toBe(Source.DATASET);
      if (lambda === 1) expect(source).toBe(Source.STUDENT);
      // Who needs no teacher asks none; who needs no reward gets none.
      expect(signalBytesPerToken > 0).toBe(needsScore(objective));
      expect(reward !== undefined).toBe((objective.alpha ?? 1) < 1);
    }
  });
});
