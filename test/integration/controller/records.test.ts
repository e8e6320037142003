import { create } from "@bufbuild/protobuf";
import { Supervisor } from "../../../services/controller/runs/supervisor.js";
import { controllerService } from "../../../services/controller/service.js";
import { createLog } from "../../../services/shared/base/log.js";
import { type Client, createClient } from "../../../services/shared/base/rpc/client.js";
import { RpcServer } from "../../../services/shared/base/rpc/server.js";
import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { KeyValue } from "../../../services/shared/base/streams/key-value.js";
import { keepAside } from "../../../services/shared/flow/runs/aside.js";
import { announceStart, publishEvent } from "../../../services/shared/flow/runs/events.js";
import { newRun, RunStore } from "../../../services/shared/flow/runs/run-store.js";
import { ensureStreams, streamNames } from "../../../services/shared/flow/streams.js";
import { ControllerService } from "../../../services/shared/gen/retort/v1/controller_pb.js";
import { RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { RunSpecSchema } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { controllerContext } from "../../support/runs/controller-context.js";
import { FakeLauncher } from "../../support/runs/fake-launcher.js";
import { TestNats } from "../../support/servers/nats.js";

const log = createLog("test", { level: "silent", format: "json" });
const spec = create(RunSpecSchema, {
  name: "r",
  student: { model: "s" },
  teachers: [{ model: "t" }],
  data: { path: "d" },
  phases: [{ steps: 1 }],
});
const garbage: readonly [string, Uint8Array][] = [
  ["bytes that are no record", Uint8Array.of(255, 255, 255)],
  // Field 15, which no record has: it is read without complaint.
  ["a record of something else", Uint8Array.of(0x7a, 3, 1, 2, 3)],
  ["text", new TextEncoder().encode("{not json")],
  ["a number that is too large", new TextEncoder().encode("99999999999999999999999999/x")],
];

describe("a record that cannot be read", () => {
  let nats: TestNats;
  let streams: Streams;
  let runs: RunStore;
  let client: Client<typeof ControllerService>;
  let server: RpcServer;
  let supervisor: Supervisor;
  const launcher = new FakeLauncher();

  const put = (key: string, value: Uint8Array) => streams.js.publish(`$KV.retort_runs.${key}`, value);
  const aside = async () => {
    const bucket = await KeyValue.open(streams, "retort_aside");
    const found = new Map<string, { reason: string; bytes: string }>();
    for (const key of await bucket.keys()) found.set(key, JSON.parse(Buffer.from((await bucket.get(key))!.value).toString()));
    return found;
  };
  const begin = async (runId: string, state = RunState.RUNNING) => {
    await runs.create(newRun({ runId, spec, state }));
    await announceStart(streams, runId);
  };
  const listed = async () => (await client.listRuns({})).runs.map(({ runId }) => runId).sort();

  beforeAll(async () => {
    nats = await TestNats.start();
    streams = await nats.connect();
    await ensureStreams(streams);
    const report = keepAside(streams, log);
    runs = await RunStore.open(streams, report);
    supervisor = new Supervisor({ streams, runs, launcher, log });
    const context = controllerContext({ streams, runs, supervisor, report });
    server = new RpcServer([controllerService(() => context)], { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 1e7 }, log);
    await server.start();
    client = createClient(ControllerService, `127.0.0.1:${server.port}`, { timeoutMs: 20_000, maxMessageBytes: 1e7 });
    await begin("whole");
  });
  afterAll(async () => {
    client.close();
    await server.stop();
    await supervisor.close();
    await nats.stop();
  });

  it.each(garbage)("does not keep runs from being listed, taken up or deleted: %s as a run", async (_, bytes) => {
    await put("broken", bytes);
    expect(await listed()).toEqual(["whole"]);
    const kept = (await aside()).get("runs.broken");
    expect(kept).toMatchObject({ reason: expect.stringMatching(/./), bytes: expect.stringMatching(/./) });
    await put("broken", bytes);
    launcher.launched.length = 0;
    await supervisor.adopt();
    expect(launcher.launched.map(({ runId }) => runId)).toEqual(["whole"]);
    await put("broken", bytes);
    await expect(client.getRun({ runId: "broken" })).rejects.toMatchObject({
      code: "DataLoss",
      message: expect.stringContaining("broken"),
    });
    await expect(client.getRun({ runId: "broken" })).rejects.toMatchObject({ code: "NotFound" });
    // What serves it has nothing to do any more.
    await launcher.end("broken", "student", 66);
    expect(launcher.stopped.at(-1)).toBe("broken");
  });

  it.each(garbage)("is as good as none beside a run: %s as wish, announcement and registration", async (_, bytes) => {
    for (const key of ["control", "policy"]) await put(`whole.${key}`, bytes);
    await streams.js.publish("$KV.retort_roles.whole.student.x", bytes);
    await runs.register("whole", { role: "student", name: "student-0", pid: 1, grpcPort: 1, healthPort: 1, metricsPort: 1 });
    expect(await listed()).toEqual(["whole"]);
    expect(await runs.control("whole")).toBe("run");
    expect(await runs.policy("whole")).toBeUndefined();
    expect((await runs.registrations("whole")).map(({ name }) => name)).toEqual(["student-0"]);
    expect((await client.getRun({ runId: "whole" })).run!.state).toBe(RunState.RUNNING);
    const keys = [...(await aside()).keys()];
    for (const place of ["runs.whole.control", "runs.whole.policy", "roles.whole.student.x"]) expect(keys).toContain(place);
    // A student hears of the next announcement.
    await put("whole.policy", bytes);
    const leave = new AbortController();
    const heard = runs.watchPolicy("whole", leave.signal).next();
    await runs.setPolicy("whole", { version: 7, fence: 2n });
    expect((await heard).value).toEqual({ version: 7, fence: 2n });
    leave.abort();
  });

  it.each(garbage)("becomes a warning among a run's events: %s", async (name, bytes) => {
    const runId = `events-${name.replaceAll(" ", "-")}`;
    await begin(runId);
    await streams.js.publish(`retort.events.${runId}.x`, bytes);
    await publishEvent(streams, runId, { case: "stepFinished", value: { step: 1 } }, "step");
    await runs.transition(runId, RunState.SUCCEEDED, "");
    await publishEvent(streams, runId, { case: "stateChanged", value: { state: RunState.SUCCEEDED } }, "over");
    // Also behind the end: a watch must not wait for another one.
    await streams.js.publish(`retort.events.${runId}.stateChanged`, bytes);
    const seen: string[] = [];
    for await (const { event } of client.watchRun({ runId }))
      seen.push(event!.event.case === "warning" ? event!.event.value.message : String(event!.event.case));
    const warning = expect.stringMatching(/^event \d+ of this run cannot be read \(.+\) and is left out$/);
    expect(seen).toEqual(["stateChanged", warning, "stepFinished", "stateChanged", warning, "stateChanged"]);
    expect([...(await aside()).keys()].filter((key) => key.startsWith("events.")).length).toBeGreaterThan(0);
  });

  it("says that the beginning of the events is gone", async () => {
    await begin("long");
    const { config } = await streams.manager.streams.info(streamNames.events);
    await streams.manager.streams.update(streamNames.events, { ...config, max_bytes: 4000 });
    for (let step = 1; step <= 40; step++) await publishEvent(streams, "long", { case: "stepFinished", value: { step } }, `step/${step}`);
    await runs.transition("long", RunState.FAILED, "");
    const first: { event: { event: { case?: string; value?: unknown } } }[] = [];
    for await (const answer of client.watchRun({ runId: "long" })) first.push(answer as never);
    expect(first[0]!.event.event).toMatchObject({
      case: "warning",
      value: { message: expect.stringMatching(/beginning of this run's events is gone: the stream keeps 1 MiB/) },
    });
    expect(first.filter(({ event }) => event.event.case === "warning")).toHaveLength(1);
    expect(first.at(-1)!.event.event.case).toBe("stateChanged");
  });
});
