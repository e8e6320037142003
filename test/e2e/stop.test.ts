import { existsSync } from "node:fs";
import { join } from "node:path";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";
import { eventually } from "../support/servers/nats.js";

/** Two starts of all roles on a machine that does other things besides. */
const timeoutMs = 280_000;

const body = `
checkpoints: { everySteps: 2 }
phases: [{ preset: on_policy_kd, steps: 5000, batchSize: 4, sampling: { maxNewTokens: 8 } }]`;

describe("a run with real processes", () => {
  let cluster: LocalCluster;
  let runId: string;

  beforeAll(async () => {
    cluster = await LocalCluster.start();
    runId = await cluster.begin(tinySpec("stubborn", body));
  });
  afterAll(() => cluster.stop());

  const current = async () => (await cluster.controller.getRun({ runId })).run!;
  const pastStep = (step: number) =>
    eventually(
      `step ${step} is finished`,
      async () => (await current()).state === RunState.RUNNING && (await current()).step >= step,
      120_000,
    );
  const exported = async () => {
    const names = new Set<string>();
    for await (const { part } of cluster.controller.getWeights({ runId })) if (part.case === "chunk") names.add(part.value.name);
    return [...names];
  };

  it(
    "is stopped at once while its learner is frozen, and exported from what is left",
    async () => {
      await pastStep(2);
      process.kill(await cluster.pidOf(runId, "learner"), "SIGSTOP");
      const { run } = await cluster.controller.stopRun({ runId, now: true });
      expect(run!.state).toBe(RunState.STOPPED);
      expect(run!.message).toMatch(/processes were ended at once; (a resume goes on from the checkpoint of step|there is no checkpoint)/);
      await expect(cluster.pidOf(runId, "student")).rejects.toThrow(/registered/);
      expect(await exported()).toEqual(expect.arrayContaining(["config.json", "model.safetensors"]));
    },
    timeoutMs,
  );

  it(
    "goes on when it is resumed, and stays stopped when its learner is lost over that",
    async () => {
      const { step } = await current();
      await cluster.controller.resumeRun({ runId });
      await pastStep(step + 1);
      const learner = await cluster.pidOf(runId, "learner");
      process.kill(learner, "SIGSTOP");
      expect((await cluster.controller.stopRun({ runId })).run!.state).toBe(RunState.STOPPING);
      process.kill(learner, "SIGKILL");
      await eventually("it is stopped", async () => (await current()).state === RunState.STOPPED, 120_000);
      const { events } = await cluster.watch(runId);
      expect(events.at(-1)!.event).toMatchObject({ case: "stateChanged", value: { state: RunState.STOPPED } });
    },
    timeoutMs,
  );

  it("leaves nothing when it is deleted", async () => {
    await eventually(
      "its processes are gone",
      async () =>
        cluster.pidOf(runId, "student").then(
          () => false,
          () => true,
        ),
      60_000,
    );
    expect(Number((await cluster.controller.deleteRun({ runId })).freedBytes)).toBeGreaterThan(0);
    for (const place of ["runs", "weights"]) expect(existsSync(join(cluster.directory, place, runId))).toBe(false);
    await expect(cluster.controller.getRun({ runId })).rejects.toMatchObject({ code: "NotFound" });
  });
});
