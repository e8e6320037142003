import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { digestOfStudent, LocalCluster, tinySpec, type Watched } from "../support/runs/local-run.js";
import { eventually } from "../support/servers/nats.js";

const spec = (name: string, steps: number, shared: string) =>
  tinySpec(
    name,
    `
rollouts: { maxStaleness: 0 }
roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }
phases:
  - preset: on_policy_kd
    steps: ${steps}
    batchSize: 8
    sampling: { maxNewTokens: 16 }
`,
  ).replace("teachers: [{ model: models/teacher }]", `teachers: [{ model: models/teacher${shared} }]`);

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe("a teacher that runs share", () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
  });
  afterAll(() => cluster.stop());

  const warm = ", shared: { keepWarmSeconds: 6 }";

  /** Follows runs to their end; of each what became of it, and the teacher's process when its first step had finished. */
  const follow = (runIds: readonly string[], onStep: (runId: string, pid: number) => void = () => {}) =>
    Promise.all(
      runIds.map(async (runId): Promise<Watched & { readonly pid: number }> => {
        let pid = 0;
        const watched = await cluster.watch(runId, async ({ event }) => {
          if (event.case !== "stepFinished" || event.value.step !== 1) return;
          pid = await cluster.pidOf(runId, "teacher");
          onStep(runId, pid);
        });
        return { ...watched, pid };
      }),
    );

  it("is one process, whose scores are those of a teacher of one run, and which outlives its runs for a while", async () => {
    const alone = await follow([await cluster.begin(spec("alone", 4, ""))]);
    const both = await follow(await Promise.all(["one", "two"].map((name) => cluster.begin(spec(name, 4, warm)))));
    const all = [...alone, ...both];
    expect(all.map(({ run }) => [run.state, run.message])).toEqual(all.map(() => [RunState.SUCCEEDED, ""]));
    const [own, shared, other] = all.map(({ pid }) => pid);
    expect(shared).toBe(other);
    expect(shared).not.toBe(own);
    // Alike but for who shares the teacher.
    expect(new Set(await Promise.all(all.map(({ run }) => digestOfStudent(run)))).size).toBe(1);

    // It is still there, and serves the next run.
    const [next] = await follow([await cluster.begin(spec("next", 2, warm))]);
    expect([next!.run.state, next!.pid]).toEqual([RunState.SUCCEEDED, shared]);
    const logs = await cluster.controller.readLogs({ runId: next!.run.runId, role: "teacher" });
    expect(logs.logs.map(({ name }) => name)).toEqual(["teacher-default-0"]);
    expect(isAlive(shared!)).toBe(true);
    await eventually("the teacher has gone", () => !isAlive(shared!), 20_000);
  });

  it("that is lost comes back for all of its runs", async () => {
    let struck = false;
    const runIds = await Promise.all(["first", "second"].map((name) => cluster.begin(spec(name, 4, warm))));
    const ends = await follow(runIds, (_, pid) => {
      if (!struck) process.kill(pid, "SIGKILL");
      struck = true;
    });
    expect(ends.map(({ run }) => [run.state, run.message])).toEqual(ends.map(() => [RunState.SUCCEEDED, ""]));
  });
});
