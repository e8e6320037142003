import { create } from "@bufbuild/protobuf";
import type { RoleSet } from "../../../services/controller/launch/launcher.js";
import type { ControllerContext } from "../../../services/controller/runs/context.js";
import { stopRun } from "../../../services/controller/runs/steer.js";
import { Supervisor } from "../../../services/controller/runs/supervisor.js";
import { RetortError } from "../../../services/shared/base/errors.js";
import { createLog } from "../../../services/shared/base/log.js";
import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { watchEvents } from "../../../services/shared/flow/runs/events.js";
import { isOver, newRun, RunStore } from "../../../services/shared/flow/runs/run-store.js";
import { durables, ensureStreams, streamNames } from "../../../services/shared/flow/streams.js";
import { RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { RunSpecSchema } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { FakeLauncher } from "../../support/runs/fake-launcher.js";
import { eventually, TestNats } from "../../support/servers/nats.js";

const log = createLog("test", { level: "silent", format: "json" });
const spec = create(RunSpecSchema, {
  name: "r",
  student: { model: "s" },
  teachers: [{ model: "t" }],
  data: { path: "d" },
  phases: [{ steps: 1 }],
});

describe("Supervisor", () => {
  let nats: TestNats;
  let streams: Streams;
  let runs: RunStore;
  let launcher: FakeLauncher;
  let supervisor: Supervisor;

  const begin = async (runId: string, state = RunState.RUNNING) => {
    const run = newRun({ runId, spec, state });
    await runs.create(run);
    return run;
  };
  const consumers = async () => (await streams.manager.consumers.list(streamNames.prompts).next()).map(({ name }) => name);

  beforeAll(async () => {
    nats = await TestNats.start();
    streams = await nats.connect();
    await ensureStreams(streams);
    runs = await RunStore.open(streams);
  });
  beforeEach(async () => {
    launcher = new FakeLauncher();
    supervisor = new Supervisor({ streams, runs, launcher, log });
    await supervisor.adopt();
    launcher.launched.length = 0;
  });
  afterEach(async () => {
    for (const { runId } of await runs.list())
      await runs.update(runId, (run) => {
        run.state = RunState.STOPPED;
        return true;
      });
  });
  afterAll(() => nats.stop());

  it("launches the learner first, with the consumers made", async () => {
    await supervisor.launch(await begin("launched"));
    expect(launcher.launched.map(({ sets }) => sets.map(({ role }) => role))).toEqual([["learner", "student", "teacher"]]);
    expect(await consumers()).toContain(durables.student("launched"));
  });

  it("takes up what is not over after a restart, and nothing else", async () => {
    await begin("going");
    await begin("over", RunState.SUCCEEDED);
    await new Supervisor({ streams, runs, launcher, log }).adopt();
    expect(launcher.launched.map(({ runId }) => runId)).toEqual(["going"]);
  });

  describe("where a paused run gives back what it holds", () => {
    class Resting extends FakeLauncher {
      readonly rested: string[] = [];
      async pause(runId: string, sets: readonly RoleSet[]): Promise<void> {
        this.rested.push(`${runId} ${sets.map(({ role }) => role)}`);
      }
    }
    let resting: Resting;
    let steered: Supervisor;
    beforeEach(async () => {
      resting = new Resting();
      steered = new Supervisor({ streams, runs, launcher: resting, log });
      await steered.adopt();
      resting.launched.length = 0;
    });
    afterEach(() => steered.close().catch(() => {}));
    const pause = async (runId: string) => {
      await runs.setControl(runId, "pause");
      steered.follow(runId);
    };

    it("does so when its learner has saved its checkpoint, and not before", async () => {
      await steered.launch(await begin("resting"));
      await pause("resting");
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(resting.rested).toEqual([]);
      await runs.transition("resting", RunState.PAUSED, "");
      await eventually("it rests", () => resting.rested.length > 0);
      expect(resting.rested).toEqual(["resting learner,student,teacher"]);
    });

    it("leaves it so after a restart of the controller, and launches it when it is resumed", async () => {
      await begin("held", RunState.PAUSED);
      await runs.setControl("held", "pause");
      const [next, another] = [new Resting(), new Resting()];
      const adopting = new Supervisor({ streams, runs, launcher: next, log });
      await adopting.adopt();
      await eventually("it rests", () => next.rested.length > 0);
      expect(next.launched).toEqual([]);
      await runs.setControl("held", "run");
      await adopting.resume("held");
      expect(next.launched.map(({ runId }) => runId)).toEqual(["held"]);
      // Its learner hasn't come up yet to say that it runs.
      const later = new Supervisor({ streams, runs, launcher: another, log });
      await later.adopt();
      expect(another.launched.map(({ runId }) => runId)).toEqual(["held"]);
      expect(another.rested).toEqual([]);
      await adopting.close();
    });

    it("keeps a run that was resumed in the meantime", async () => {
      await steered.launch(await begin("quick"));
      await runs.transition("quick", RunState.PAUSED, "");
      await runs.setControl("quick", "run");
      steered.follow("quick");
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(resting.rested).toEqual([]);
    });

    it("stops a paused run at once: nobody is left to save anything", async () => {
      await begin("asleep", RunState.PAUSED);
      await runs.setControl("asleep", "pause");
      const context = { streams, runs, supervisor: steered, now: () => new Date() } as unknown as ControllerContext;
      await stopRun(context, "asleep", false);
      expect(await runs.get("asleep")).toMatchObject({ state: RunState.STOPPED });
      expect(resting.killed).toEqual(["asleep"]);
    });
  });

  it("takes away what is left of a run that is over, its consumers too", async () => {
    await supervisor.launch(await begin("done"));
    await runs.register("done", { role: "student", name: "student-0", pid: 1, grpcPort: 1, healthPort: 1, metricsPort: 1 });
    await runs.update("done", (run) => {
      run.state = RunState.SUCCEEDED;
      return true;
    });
    await launcher.end("done", "learner", 0);
    expect(launcher.stopped).toEqual(["done"]);
    expect(await consumers()).not.toContain(durables.student("done"));
    expect(await runs.registrations("done")).toEqual([]);
  });

  it("fails a run whose role ended, and says how", async () => {
    await supervisor.launch(await begin("lost"));
    await launcher.end("lost", "student", 78, "cuda is not available");
    expect(await runs.get("lost")).toMatchObject({ state: RunState.FAILED, message: "student ended with code 78: cuda is not available" });
    expect(launcher.stopped).toEqual(["lost"]);
  });

  it("doesn't take the end of a failed run's learner for that of the one that resumes it", async () => {
    await supervisor.launch(await begin("failed"));
    // It tells why it failed, and then ends.
    await runs.transition("failed", RunState.FAILED, "the disk is broken");
    const resumed = supervisor.resume("failed");
    await launcher.end("failed", "learner", 66, "the disk is broken");
    expect((await resumed).state).toBe(RunState.PENDING);
    expect((await runs.get("failed")).state).toBe(RunState.PENDING);
    // What was left of it has gone before another is started.
    expect(launcher.stopped).toEqual(["failed"]);
    await launcher.end("failed", "learner", 66, "the disk is still broken");
    expect(await runs.get("failed")).toMatchObject({ state: RunState.FAILED, message: expect.stringContaining("still broken") });
  });

  it("goes on with a run that was resumed before its old learner had gone", async () => {
    await supervisor.launch(await begin("resumed"));
    await launcher.end("resumed", "learner", 0);
    expect(launcher.launched).toHaveLength(2);
    expect((await runs.get("resumed")).state).toBe(RunState.RUNNING);
  });

  it("says in a run's events why it does not go on, once for the same reason", async () => {
    await begin("waiting");
    const delay = { runId: "waiting", key: "pod/Unschedulable", message: "pod x does not start: Unschedulable" };
    for (let times = 0; times < 2; times++) await launcher.watcher!.delayed(delay);
    await launcher.watcher!.delayed({ ...delay, key: "pod/ErrImagePull", message: "pod x does not start: ErrImagePull" });
    const messages: string[] = [];
    for await (const { event } of watchEvents(streams, "waiting", 0, AbortSignal.timeout(10_000))) {
      if (event.case === "warning") messages.push(event.value.message);
      if (messages.length === 2) break;
    }
    expect(messages).toEqual(["pod x does not start: Unschedulable", "pod x does not start: ErrImagePull"]);
  });

  it("handles an end that came while the server was away, once it is back", async () => {
    await supervisor.launch(await begin("outage"));
    await nats.kill();
    const handled = launcher.end("outage", "student", 78, "cuda is not available");
    await nats.revive();
    await handled;
    expect((await runs.get("outage")).state).toBe(RunState.FAILED);
  });

  it("stops what serves a run that nobody knows of", async () => {
    await launcher.end("unknown", "student", 70);
    expect(launcher.stopped).toEqual(["unknown"]);
  });

  it("fails a run that cannot be launched, and tells the caller", async () => {
    launcher.refuse = new RetortError("PermissionDenied", "the cluster refused to create Job x");
    await expect(supervisor.launch(await begin("refused"))).rejects.toBe(launcher.refuse);
    expect(await runs.get("refused")).toMatchObject({ state: RunState.FAILED, message: "the cluster refused to create Job x" });
  });

  it("at a restart, gives a run up that can never be launched, and takes up the others", async () => {
    await begin("never");
    launcher.refuse = new RetortError("PermissionDenied", "no");
    const restarted = new Supervisor({ streams, runs, launcher, log });
    await restarted.adopt();
    expect(await runs.get("never")).toMatchObject({ state: RunState.FAILED, message: "no" });
    await restarted.close();
  });

  it.each(["restart", "start"] as const)("at a %s, launches later what cannot be launched now, and says so", async (when) => {
    const runId = `later-${when}`;
    launcher.refuse = new RetortError("Unavailable", "the cluster is away");
    const next = new Supervisor({ streams, runs, launcher, log });
    const run = await begin(runId);
    if (when === "restart") await next.adopt();
    else await next.launch(run);
    expect(isOver((await runs.get(runId)).state)).toBe(false);
    launcher.launched.length = 0;
    launcher.refuse = undefined;
    await eventually("the run is launched", () => launcher.launched.some((launched) => launched.runId === runId));
    for await (const { event } of watchEvents(streams, runId, 0, AbortSignal.timeout(10_000)))
      if (event.case === "warning" && event.value.message.includes("the cluster is away")) break;
    await next.close();
  });
});
