import { create } from "@bufbuild/protobuf";
import { pauseRun, resumeRun, stopRun } from "../../../services/controller/runs/steer.js";
import { Supervisor } from "../../../services/controller/runs/supervisor.js";
import { createLog } from "../../../services/shared/base/log.js";
import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { watchEvents } from "../../../services/shared/flow/runs/events.js";
import { newRun, RunStore } from "../../../services/shared/flow/runs/run-store.js";
import { ensureStreams } from "../../../services/shared/flow/streams.js";
import { CheckpointSavedSchema, RunState, Wanted } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { RunSpecSchema } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { controllerContext } from "../../support/runs/controller-context.js";
import { FakeLauncher } from "../../support/runs/fake-launcher.js";
import { eventually, TestNats } from "../../support/servers/nats.js";

const log = createLog("test", { level: "silent", format: "json" });
const spec = create(RunSpecSchema, {
  name: "r",
  student: { model: "s" },
  teachers: [{ model: "t" }],
  data: { path: "d" },
  phases: [{ steps: 9 }],
});
const long = 600_000;

// The learner never answers: that is the point.
describe("a run that is asked to stop", () => {
  let nats: TestNats;
  let streams: Streams;
  let runs: RunStore;
  const open: Supervisor[] = [];

  beforeAll(async () => {
    nats = await TestNats.start();
    streams = await nats.connect();
    await ensureStreams(streams);
    runs = await RunStore.open(streams);
  });
  afterEach(async () => {
    for (const supervisor of open.splice(0)) await supervisor.close();
    for (const { runId } of await runs.list()) await runs.transition(runId, RunState.FAILED, "the test is over");
  });
  afterAll(() => nats.stop());

  /** A controller with a launcher of its own. */
  const controller = async (stopDeadlineMs: number, noticeMs?: number) => {
    const launcher = new FakeLauncher();
    const own = await nats.connect();
    const supervisor = new Supervisor({ streams: own, runs, launcher, log, stopDeadlineMs, noticeMs });
    open.push(supervisor);
    await supervisor.adopt();
    const context = controllerContext({ streams, runs, supervisor, stopDeadlineMs });
    return { launcher, supervisor, context };
  };
  const begin = async (runId: string, fields: Parameters<typeof newRun>[0] = {}) => {
    const run = newRun({ runId, spec, state: RunState.RUNNING, totalSteps: 9, step: 5, ...fields });
    await runs.create(run);
    return run;
  };
  const stopped = (runId: string) =>
    eventually(`${runId} is stopped`, async () => (await runs.get(runId)).state === RunState.STOPPED, 30_000);
  const checkpoint = create(CheckpointSavedSchema, { step: 4, path: "/nowhere" });

  it("is ended when its learner does not answer, and says where a resume goes on", async () => {
    const { launcher, context, supervisor } = await controller(400);
    await supervisor.launch(await begin("hangs", { checkpoint }));
    const run = await stopRun(context, "hangs", false);
    expect([run.state, run.wanted]).toEqual([RunState.STOPPING, Wanted.STOP]);
    await stopped("hangs");
    expect(launcher.killed).toEqual(["hangs"]);
    const { message, finished } = await runs.get("hangs");
    expect(message).toMatch(/had not saved a checkpoint .* asked to stop; a resume goes on from the checkpoint of step 4$/);
    expect(finished).toBeDefined();
  });

  it("is ended at once if that is asked, also while it is stopping already", async () => {
    const { launcher, context, supervisor } = await controller(long);
    await supervisor.launch(await begin("now"));
    await stopRun(context, "now", false);
    expect((await runs.get("now")).state).toBe(RunState.STOPPING);
    const { state, message } = await stopRun(context, "now", true);
    expect(state).toBe(RunState.STOPPED);
    expect(message).toBe("its processes were ended at once; there is no checkpoint: a resume begins at step 0");
    expect(launcher.killed).toEqual(["now"]);
    await expect(stopRun(context, "now", true)).rejects.toMatchObject({ code: "FailedPrecondition" });
  });

  it("keeps the earlier deadline when it is asked again", async () => {
    const { context, supervisor } = await controller(long);
    await supervisor.launch(await begin("twice"));
    await stopRun(context, "twice", false);
    const first = (await runs.wish("twice")).deadline!;
    await stopRun({ ...context, stopDeadlineMs: 2 * long }, "twice", false);
    expect((await runs.wish("twice")).deadline).toBe(first);
    await stopRun({ ...context, stopDeadlineMs: 1000 }, "twice", false);
    expect((await runs.wish("twice")).deadline).toBeLessThan(first);
  });

  it("is not forgotten when the controller is restarted: the deadline counts on, and only a learner is started", async () => {
    const before = await controller(1500);
    await before.supervisor.launch(await begin("restarted"));
    await stopRun(before.context, "restarted", false);
    await open.pop()!.close();
    const after = await controller(long);
    expect(after.launcher.launched.map(({ runId, sets }) => [runId, sets.map(({ role }) => role)])).toEqual([["restarted", ["learner"]]]);
    await stopped("restarted");
    expect([before.launcher.killed, after.launcher.killed]).toEqual([[], ["restarted"]]);
  });

  it("starts nothing after a restart if its time is up", async () => {
    await begin("late", { state: RunState.STOPPING });
    await runs.setControl("late", "stop", Date.now() - 1000);
    const { launcher } = await controller(long);
    await stopped("late");
    expect([launcher.launched, launcher.killed]).toEqual([[], ["late"]]);
  });

  it("is not forgotten when the server is restarted", async () => {
    const { context, supervisor } = await controller(3000);
    await supervisor.launch(await begin("server"));
    await stopRun(context, "server", false);
    await nats.kill();
    await nats.revive();
    await stopped("server");
  });

  it.each([
    ["learner", 70],
    ["learner", 78],
    ["student", 137],
  ] as const)("ends as stopped when its %s is lost with code %i", async (role, code) => {
    const { launcher, context, supervisor } = await controller(long);
    const runId = `lost-${role}-${code}`;
    await supervisor.launch(await begin(runId, { checkpoint }));
    await stopRun(context, runId, false);
    await launcher.end(runId, role, code, "gone");
    const { state, message } = await runs.get(runId);
    expect([state, message]).toEqual([
      RunState.STOPPED,
      `${role} ended with code ${code}: gone; a resume goes on from the checkpoint of step 4`,
    ]);
  });

  it("stays one whose wish cannot be read any more", async () => {
    const { context, supervisor } = await controller(long);
    await supervisor.launch(await begin("garbled"));
    await stopRun(context, "garbled", false);
    await streams.js.publish("$KV.retort_runs.garbled.control", new Uint8Array([255, 0, 254]));
    expect(await runs.control("garbled")).toBe("stop");
  });

  it("goes on when it is resumed before it has stopped, whenever its learner hears of it", async () => {
    const { launcher, context, supervisor } = await controller(long);
    await supervisor.launch(await begin("resumed"));
    await stopRun(context, "resumed", false);
    expect((await resumeRun(context, "resumed")).state).toBe(RunState.RUNNING);
    // Its learner had made up its mind.
    await runs.transition("resumed", RunState.STOPPED, "");
    launcher.launched.length = 0;
    await launcher.end("resumed", "learner", 0);
    expect((await runs.get("resumed")).state).toBe(RunState.PENDING);
    expect(launcher.launched.map(({ sets }) => sets.length)).toEqual([3]);
  });

  it("cannot be paused", async () => {
    const { context, supervisor } = await controller(long);
    await supervisor.launch(await begin("unpaused"));
    await stopRun(context, "unpaused", false);
    await expect(pauseRun(context, "unpaused")).rejects.toMatchObject({ code: "FailedPrecondition" });
  });

  it("and one that is asked to pause, says after a while that its learner does not answer", async () => {
    const { context, supervisor } = await controller(long, 50);
    await supervisor.launch(await begin("paused"));
    expect((await pauseRun(context, "paused")).wanted).toBe(Wanted.PAUSE);
    const waits: string[] = [];
    for await (const { event } of watchEvents(streams, "paused", 0, AbortSignal.timeout(10_000))) {
      if (event.case === "waiting") waits.push(event.value.waitsFor);
      if (waits.length === 2) break;
    }
    expect(waits[0]).toMatch(/learner, which was asked to pause and has not yet saved its checkpoint.*stop --now/);
  });
});

describe("a final state", () => {
  let nats: TestNats;
  let runs: RunStore;
  beforeAll(async () => {
    nats = await TestNats.start();
    runs = await RunStore.open(await nats.connect());
  });
  afterAll(() => nats.stop());
  const finals = [RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED] as const;

  it.each(finals)("%i is left by no transition and no update", async (state) => {
    const runId = `final-${state}`;
    await runs.create(newRun({ runId, spec, state: RunState.RUNNING }));
    expect(await runs.transition(runId, state, "over", { step: 3 })).toMatchObject({ state, message: "over", step: 3 });
    for (const next of [RunState.PENDING, RunState.RUNNING, RunState.PAUSED, RunState.STOPPING, ...finals])
      expect(await runs.transition(runId, next, "late", { step: 9 })).toBeUndefined();
    const late = await runs.update(runId, (run) => {
      run.state = RunState.RUNNING;
      run.step = 9;
      return true;
    });
    expect([late, await runs.get(runId)]).toEqual([expect.objectContaining({ state, message: "over", step: 3 }), late]);
  });

  it("is left by a resume, unless the run has succeeded", async () => {
    expect(await runs.reopen(`final-${RunState.FAILED}`)).toMatchObject({ state: RunState.PENDING, message: "", finished: undefined });
    expect((await runs.reopen(`final-${RunState.STOPPED}`)).state).toBe(RunState.PENDING);
    await expect(runs.reopen(`final-${RunState.SUCCEEDED}`)).rejects.toMatchObject({ code: "FailedPrecondition" });
  });

  it("is reached by a run that is being stopped, and by nothing in between", async () => {
    await runs.create(newRun({ runId: "stopping", spec, state: RunState.STOPPING }));
    expect(await runs.transition("stopping", RunState.RUNNING, "", { step: 2 })).toMatchObject({ state: RunState.STOPPING, step: 2 });
    expect(await runs.transition("stopping", RunState.SUCCEEDED, "")).toMatchObject({ state: RunState.SUCCEEDED });
  });
});
