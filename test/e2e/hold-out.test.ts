import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";

const spec = (holdOut: string) =>
  tinySpec(
    "held-out",
    `evaluation: { holdOut: ${holdOut} }\nphases: [{ preset: on_policy_kd, steps: 1, batchSize: 4, sampling: { maxNewTokens: 8 } }]`,
  );

describe("a run that holds rows out of its dataset", () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
  });
  afterAll(() => cluster.stop());

  it("measures on the last ones and trains on the others", async () => {
    const { run, events } = await cluster.watch(await cluster.begin(spec("40")));
    expect([run.state, run.message]).toEqual([RunState.SUCCEEDED, ""]);
    const rows = events.flatMap(({ event }) => (event.case === "datasetReady" ? [event.value.rows] : []));
    expect(rows).toEqual([560]);
    const prompts = events.flatMap(({ event }) => (event.case === "evaluationFinished" ? [event.value.prompts] : []));
    expect(prompts).toEqual([40, 40]);
  });

  it("is refused where nothing is left to train on, before it starts", async () => {
    await expect(cluster.begin(spec("600"))).rejects.toThrow(/holdOut: is 600, and 600 rows of .* leave some to train on/);
  });

  it("fails if that shows only once all rows are read", async () => {
    const path = join(cluster.directory, "many.jsonl");
    await writeFile(path, Array.from({ length: 1200 }, (_, i) => `${JSON.stringify({ prompt: `${i}=` })}\n`).join(""));
    const { run } = await cluster.watch(await cluster.begin(spec("1200").replace("data/train.jsonl", path)));
    expect(run.state).toBe(RunState.FAILED);
    expect(run.message).toMatch(/1200.*dataset has 1200 rows/);
  });

  it("is refused together with a path, before it starts", async () => {
    await expect(cluster.begin(spec("4, path: data/held-out.jsonl"))).rejects.toThrow(/path.*holdOut/);
  });
});
