import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Source } from "../../services/shared/gen/retort/v1/flow_pb.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";

const train = resolve("deploy/examples/num2words/data/train.jsonl");

describe("a dataset of which only some rows have completions", () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
  });
  afterAll(() => cluster.stop());

  it("gives its texts to steps on the dataset and every prompt to steps on the student's own samples, and loses none", async () => {
    const rows = (await readFile(train, "utf8"))
      .trim()
      .split("\n")
      .slice(0, 40)
      .map((line) => JSON.parse(line) as { prompt: string; completion: string });
    const data = join(cluster.directory, "partly.jsonl");
    const written = rows.map(({ prompt, completion }, i) => JSON.stringify(i % 8 ? { prompt } : { prompt, completion }));
    await writeFile(data, written.join("\n"));
    const phases =
      "phases: [{ preset: gkd, lambda: 0.5, steps: 8, batchSize: 10, objective: { beta: 0.02 }, sampling: { maxNewTokens: 34 } }]";
    const spec = tinySpec("partly", phases).replace("data/train.jsonl", data);
    const { run, events } = await cluster.watch(await cluster.begin(spec));
    expect([run.state, run.message]).toEqual([RunState.SUCCEEDED, ""]);
    const of = <C extends (typeof events)[number]["event"]["case"]>(name: C) =>
      events.flatMap(({ event }) => (event.case === name ? [event.value as Extract<typeof event, { case: C }>["value"]] : []));
    expect(of("datasetReady")[0]).toMatchObject({ rows: 40, completed: 5, dropped: {} });
    expect(of("taskFailed")).toEqual([]);
    // What is allowed and unusual about a spec is the first that its events say behind their beginning.
    expect(events[1]!.event).toMatchObject({
      case: "warning",
      value: { message: expect.stringMatching(/phases\[0\]\.objective\.beta: is 0\.02/) },
    });
    const steps = of("stepFinished");
    expect(new Set(steps.map(({ source }) => source))).toEqual(new Set([Source.STUDENT, Source.DATASET]));
    expect(steps.map(({ sequences }) => sequences)).toEqual(steps.map(() => 10));
  });
});
