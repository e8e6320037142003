import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";

const presets = resolve("deploy/examples/presets");

describe("a model that is its own teacher, under another prompt", () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
  });
  afterAll(() => cluster.stop());

  it("takes the same steps, to the last bit, where the prompt says the same", async () => {
    const lossesUnder = async (own: string) => {
      const phase = "phases: [{ preset: gkd, steps: 6, batchSize: 8, sampling: { maxNewTokens: 16 } }]";
      const roles = "roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }";
      const spec = tinySpec("same", `rollouts: { maxStaleness: 0 }\n${roles}\n${phase}`).replace(
        "models/teacher }",
        `models/teacher${own} }`,
      );
      const { run, events } = await cluster.watch(await cluster.begin(spec));
      expect(run.message).toBe("");
      return events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value.loss] : []));
    };
    const plain = await lossesUnder("");
    expect(plain).toHaveLength(6);
    expect(await lossesUnder(', promptTemplate: "{{ prompt }}"')).toEqual(plain);
    expect(await lossesUnder(', promptTemplate: "1{{ prompt }}"')).not.toEqual(plain);
  });

  it.each([
    ["opsd", 0.75],
    ["sdft", 0.75],
    ["context_distillation", 0.75],
  ])("%s: it learns what it could not do without the prompt", async (preset, atLeast) => {
    const path = join(presets, `${preset}.yaml`);
    const spec = parseSpec(await readFile(path, "utf8"), path);
    const { run } = await cluster.controller.startRun({ spec });
    const { run: done, events } = await cluster.watch(run!.runId);
    expect(done).toMatchObject({ message: "", state: RunState.SUCCEEDED });
    const measured = events.flatMap(({ event }) => (event.case === "evaluationFinished" ? [event.value] : []));
    const [first, last] = [measured[0]!, measured.at(-1)!];
    // Some numbers read alike from both ends.
    expect(first.greedy).toBeLessThan(0.1);
    expect(last.greedy).toBeGreaterThan(atLeast);
    // Against what the teacher says behind its own prompt.
    expect(last.forwardKl).toBeLessThan(first.forwardKl! / 10);
    expect(last.failed).toBe(0);
  });
});
