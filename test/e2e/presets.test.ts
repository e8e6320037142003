import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { closedValue } from "../../services/shared/flow/runs/closed-value.js";
import { presets } from "../../services/shared/flow/runs/presets.js";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import type { StepFinished } from "../../services/shared/gen/retort/v1/events_pb.js";
import { Source } from "../../services/shared/gen/retort/v1/flow_pb.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster } from "../support/runs/local-run.js";

const steps = 3;

// Every method of the field by its example spec, cut to a few small steps.
describe("the example of preset", () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
  });
  afterAll(() => cluster.stop());

  const run = async (preset: string): Promise<StepFinished[]> => {
    const path = resolve(`deploy/examples/presets/${preset}.yaml`);
    const spec = parseSpec(await readFile(path, "utf8"), path);
    spec.evaluation = undefined;
    // The first rows are those that the student was fine-tuned on, where rewards hardly differ; a teacher need not write all.
    if (spec.data!.generate) spec.data!.limit = 32;
    for (const phase of spec.phases) Object.assign(phase, { steps, batchSize: 16 });
    const started = await cluster.controller.startRun({ spec });
    const { run, events } = await cluster.watch(started.run!.runId);
    expect([run.state, run.message]).toEqual([RunState.SUCCEEDED, ""]);
    return events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value] : []));
  };

  it.each(Object.keys(presets))("%s trains", async (preset) => {
    const finished = await run(preset);
    const { lambda, objective } = presets[closedValue("PhaseSpec.preset", preset)];
    expect(finished.map(({ step }) => step)).toEqual([1, 2, 3]);
    for (const { source, gradientNorm, failedPrompts, signalBytesPerToken, reward } of finished) {
      expect(failedPrompts).toBe(0);
      expect(gradientNorm).toBeGreaterThan(0);
      if (lambda === 0) expect(source).toBe(Source.DATASET);
      if (lambda === 1) expect(source).toBe(Source.STUDENT);
      // Who needs no teacher asks none; who needs no reward gets none.
      expect(signalBytesPerToken > 0).toBe(objective.divergence !== "cross_entropy" && objective.alpha !== 0);
      expect(reward !== undefined).toBe((objective.alpha ?? 1) < 1);
    }
  });
});
