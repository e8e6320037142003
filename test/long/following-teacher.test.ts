import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { digestOfStudent, LocalCluster, tinySpec } from "../support/runs/local-run.js";

// The teacher is the student itself under another prompt, some steps behind it. A synchronous run's result is a function of its spec,
// the versions that its teacher has among it: whoever is lost on the way.
const steps = 14;

const specOf = (follow: string) =>
  tinySpec(
    "following",
    `
rollouts: { maxStaleness: 0 }
checkpoints: { everySteps: 4 }
roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }
phases:
  - preset: opsd
    steps: ${steps}
    batchSize: 8
    objective: { signal: hidden }
    sampling: { maxNewTokens: 12 }
    optimizer: { learningRate: 0.001 }
`,
  ).replace("[{ model: models/teacher }]", `[{ model: models/student, promptTemplate: "1{{ prompt }}"${follow} }]`);

describe("a teacher that follows the student", () => {
  let cluster: LocalCluster;
  let frozen: string;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
    frozen = await resultOf("");
  });
  afterAll(() => cluster.stop());

  const resultOf = async (follow: string) => {
    const { run } = await cluster.watch(await cluster.begin(specOf(follow)));
    expect(run).toMatchObject({ message: "", state: RunState.SUCCEEDED });
    return digestOfStudent(run);
  };

  it.each([
    ["some steps behind it", "everySteps: 3"],
    ["as an average of it", "ema: 0.8"],
  ])("has the same weights, %s, to the last bit, when teacher and learner are killed on the way", async (_, how) => {
    const follow = `, follow: { ${how} }`;
    const undisturbed = await resultOf(follow);
    expect(undisturbed).not.toBe(frozen);
    const runId = await cluster.begin(specOf(follow));
    // Once each: steps are trained again. The newest checkpoint is that of step 8, whose teacher has version 6 of the student.
    const victims = new Map([
      [5, "teacher"],
      [10, "learner"],
    ]);
    const taught = new Set<number | undefined>();
    const { run } = await cluster.watch(runId, async ({ event }) => {
      if (event.case === "stepFinished") taught.add(event.value.teacherVersion);
      const step = event.case === "stepFinished" ? event.value.step : 0;
      const role = victims.get(step);
      victims.delete(step);
      if (role) process.kill(await cluster.pidOf(runId, role), "SIGKILL");
    });
    expect(victims.size).toBe(0);
    expect([taught.size > 2, taught.has(0), taught.has(undefined)]).toEqual([true, true, false]);
    expect(run).toMatchObject({ message: "", state: RunState.SUCCEEDED });
    expect(await digestOfStudent(run)).toBe(undisturbed);
  });
});
