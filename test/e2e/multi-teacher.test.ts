import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";

// One teacher is the student itself, at which the first step must find no divergence; the other is the real one.
const teachers = "teachers: [{ name: words, model: models/teacher }, { name: mirror, model: models/student }]";
const spec = (name: string, data: string) =>
  tinySpec(
    name,
    `
rollouts: { maxStaleness: 0 }
roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }
phases:
  - preset: on_policy_kd
    steps: 3
    batchSize: 8
    sampling: { maxNewTokens: 16 }
`,
  )
    .replace("teachers: [{ model: models/teacher }]", teachers)
    .replace("data/train.jsonl", data);

describe("a run with two teachers", () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
  });
  afterAll(() => cluster.stop());

  const dataOf = async (name: string, teacherOf: (n: number) => string | undefined): Promise<string> => {
    const path = join(cluster.directory, name);
    const rows = Array.from({ length: 8 }, (_, n) => JSON.stringify({ prompt: `${n + 20}=`, teacher: teacherOf(n) }));
    await writeFile(path, rows.join("\n"));
    return path;
  };
  const scored = (metrics: string): number => Number(/^retort_teacher_rollouts_total (\d+)/m.exec(metrics)?.[1]);

  it("has each prompt scored by the teacher that its row names, and by the first where it names none", async () => {
    const runId = await cluster.begin(spec("both", await dataOf("both.jsonl", (n) => (n < 4 ? "mirror" : undefined))));
    let counts: number[] = [];
    const { run, events } = await cluster.watch(runId, async ({ event }) => {
      if (event.case === "stepFinished" && event.value.step === 2) counts = (await cluster.metricsOf(runId, "teacher")).map(scored);
    });
    expect([run.state, run.message]).toEqual([RunState.SUCCEEDED, ""]);
    // A step is one task for each of them.
    expect(counts).toHaveLength(2);
    for (const count of counts) expect(count).toBeGreaterThanOrEqual(2);
    for (const { event } of events)
      if (event.case === "stepFinished") expect([event.value.sequences, event.value.failedPrompts]).toEqual([8, 0]);
  });

  it("compares with the named teacher's distribution, not with another's", async () => {
    const { events } = await cluster.watch(await cluster.begin(spec("mirror", await dataOf("mirror.jsonl", () => "mirror"))));
    const [first] = events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value] : []));
    expect(Math.abs(first!.divergence)).toBeLessThan(1e-5);
  });
});
