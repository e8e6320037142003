import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Source } from "../../services/shared/gen/retort/v1/flow_pb.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { digestOfStudent, LocalCluster, tinySpec, type Watched } from "../support/runs/local-run.js";

// Half of the steps are on the dataset's 150 texts, in batches of 50: an epoch is three steps.
const spec = tinySpec(
  "cached",
  `
rollouts: { maxStaleness: 0 }
roles: { student: { threads: 1 }, teacher: { threads: 1, replicas: 2 }, learner: { threads: 1 } }
phases:
  - preset: gkd
    lambda: 0.5
    steps: 12
    batchSize: 50
    sampling: { maxNewTokens: 32 }
    optimizer: { learningRate: 0.001 }
`,
).replace("data/train.jsonl", "data/sft.jsonl");

describe("the teacher's score cache", () => {
  let cluster: LocalCluster;
  let [first, second, third]: Watched[] = [];
  let damaged = 0;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
    first = await cluster.watch(await cluster.begin(spec));
    second = await cluster.watch(await cluster.begin(spec));
    const root = join(cluster.directory, "scores");
    for (const name of (await readdir(root, { recursive: true })).filter((path) => path.includes("/")).slice(0, 20)) {
      const bytes = await readFile(join(root, name));
      bytes[bytes.length - 1]! ^= 1;
      await writeFile(join(root, name), bytes);
      damaged++;
    }
    third = await cluster.watch(await cluster.begin(spec));
  });
  afterAll(() => cluster.stop());

  const steps = (watched: Watched | undefined) =>
    watched!.events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value] : []));
  const total = (watched: Watched | undefined, name: "cacheLookups" | "cacheHits") =>
    steps(watched).reduce((sum, step) => sum + step[name], 0);

  it("has every text scored once, over epochs", () => {
    expect([first!.run.state, first!.run.message]).toEqual([RunState.SUCCEEDED, ""]);
    const onData = steps(first).filter(({ source }) => source === Source.DATASET);
    expect(onData.length).toBeGreaterThan(3);
    expect(total(first, "cacheLookups")).toBe(50 * onData.length);
    // Every row that came up was missed once; one that came again was found.
    expect(total(first, "cacheLookups") - total(first, "cacheHits")).toBeLessThanOrEqual(150);
    console.log(`score cache: ${total(first, "cacheHits")} of ${total(first, "cacheLookups")} looked-up texts were there`);
  });

  it("is not asked about what the student samples", () => {
    for (const { source, cacheLookups } of steps(first)) if (source === Source.STUDENT) expect(cacheLookups).toBe(0);
  });

  it("has them still in the next run, and changes nothing of what is trained", async () => {
    expect(total(second, "cacheHits")).toBe(total(second, "cacheLookups"));
    expect(await digestOfStudent(second!.run)).toBe(await digestOfStudent(first!.run));
  });

  it("finds damaged entries out and has them scored anew", async () => {
    expect(damaged).toBe(20);
    expect(third!.run.state).toBe(RunState.SUCCEEDED);
    const missed = total(third, "cacheLookups") - total(third, "cacheHits");
    expect(missed).toBeGreaterThan(0);
    expect(missed).toBeLessThanOrEqual(20);
  });
});
