import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Retention } from "../../../services/controller/runs/retention.js";
import { RunStorage } from "../../../services/controller/runs/storage.js";
import { Supervisor } from "../../../services/controller/runs/supervisor.js";
import { controllerService } from "../../../services/controller/service.js";
import { createLog } from "../../../services/shared/base/log.js";
import { type Client, createClient } from "../../../services/shared/base/rpc/client.js";
import { RpcServer } from "../../../services/shared/base/rpc/server.js";
import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { publish } from "../../../services/shared/base/streams/publish.js";
import { announceStart, lastEvent } from "../../../services/shared/flow/runs/events.js";
import { newRun, RunStore } from "../../../services/shared/flow/runs/run-store.js";
import { ensureRun, ensureStreams, streamNames } from "../../../services/shared/flow/streams.js";
import { NatsStore } from "../../../services/shared/flow/weights/nats-store.js";
import { ControllerService } from "../../../services/shared/gen/retort/v1/controller_pb.js";
import { CheckpointSavedSchema, RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { RunSpecSchema } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { controllerContext } from "../../support/runs/controller-context.js";
import { FakeLauncher } from "../../support/runs/fake-launcher.js";
import { storeBytes } from "../../support/runs/stored-bytes.js";
import { TestNats } from "../../support/servers/nats.js";

const log = createLog("test", { level: "silent", format: "json" });
const spec = create(RunSpecSchema, {
  name: "r",
  student: { model: "s" },
  teachers: [{ model: "t" }],
  data: { path: "d" },
  phases: [{ steps: 9 }],
});
const bytes = (text: string) => new Uint8Array(Buffer.from(text));

describe("what runs keep", () => {
  let nats: TestNats;
  let streams: Streams;
  let runs: RunStore;
  let store: NatsStore;
  let storage: RunStorage;
  let supervisor: Supervisor;
  let client: Client<typeof ControllerService>;
  let server: RpcServer;
  let dataDir: string;
  const launcher = new FakeLauncher();

  beforeAll(async () => {
    nats = await TestNats.start();
    streams = await nats.connect();
    await ensureStreams(streams);
    runs = await RunStore.open(streams, async () => {});
    dataDir = await mkdtemp(join(tmpdir(), "retort-storage-"));
    store = new NatsStore(streams, join(dataDir, "weights"));
    storage = new RunStorage({ dataDir, streams, runs, store });
    supervisor = new Supervisor({ streams, runs, launcher, log, storage });
    await supervisor.adopt();
    const context = controllerContext({ streams, runs, store, supervisor, storage, directory: dataDir });
    server = new RpcServer([controllerService(() => context)], { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 1e7 }, log);
    await server.start();
    client = createClient(ControllerService, `127.0.0.1:${server.port}`, { timeoutMs: 20_000, maxMessageBytes: 1e7 });
  });
  afterAll(async () => {
    client.close();
    await server.stop();
    await supervisor.close();
    await nats.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  const directoryOf = (runId: string, ...more: string[]) => join(dataDir, "runs", runId, ...more);
  const model = async (directory: string, extra: readonly string[] = []) => {
    await mkdir(directory, { recursive: true });
    for (const name of ["config.json", "model.safetensors", "tokenizer.json", ...extra]) await writeFile(join(directory, name), `${name}!`);
  };
  /** A run with three stored versions, a checkpoint, a log and events. */
  const begin = async (runId: string) => {
    await model(directoryOf(runId, "checkpoints", "step-00000004"), ["optimizer.safetensors", "state.json"]);
    await mkdir(directoryOf(runId, "logs"), { recursive: true });
    await writeFile(directoryOf(runId, "logs", "student-0.log"), "x".repeat(1000));
    await runs.create(newRun({ runId, spec, state: RunState.RUNNING, step: 5, totalSteps: 9 }));
    await announceStart(streams, runId);
    await ensureRun(streams, { runId, teachers: ["default"], rewarded: true, maxAttempts: 3 });
    for (const version of [0, 4, 5])
      await storeBytes(
        store,
        runId,
        version,
        new Map([
          ["config.json", bytes("{}")],
          ["model.safetensors", bytes(`v${version}`)],
        ]),
        1n,
      );
    await runs.setPolicy(runId, { version: 5, fence: 1n });
    await publish(streams, `retort.results.${runId}.1.1.0.score`, bytes("a result"), { messageId: `${runId}/result` });
  };
  const checkpointOf = (runId: string) =>
    create(CheckpointSavedSchema, { step: 4, path: directoryOf(runId, "checkpoints", "step-00000004") });
  /** Ends a run as its learner does, and tells that it is gone. */
  const finish = async (runId: string, state: RunState, fields = {}) => {
    await runs.transition(runId, state, "", fields);
    await launcher.end(runId, "learner", 0);
  };
  const weightsOf = async (runId: string, version?: number) => {
    const names: string[] = [];
    let found = -1;
    for await (const { part } of client.getWeights({ runId, version })) {
      if (part.case === "manifest") found = part.value.version;
      else if (part.case === "chunk") names.push(part.value.name);
    }
    return { version: found, names };
  };
  const bucketExists = (runId: string) =>
    streams.manager.streams.info(`OBJ_retort_weights_${runId}`).then(
      () => true,
      () => false,
    );

  it.each([
    ["succeeded", RunState.SUCCEEDED],
    ["failed", RunState.FAILED],
    ["stopped", RunState.STOPPED],
  ] as const)(
    "deletes the stored weights of a run that has %s and whose model can be read, which is then what is exported",
    async (name, state) => {
      await begin(name);
      const student = directoryOf(name, "student");
      if (state === RunState.SUCCEEDED) await model(student);
      await finish(name, state, state === RunState.SUCCEEDED ? { output: student } : { checkpoint: checkpointOf(name) });
      expect(await bucketExists(name)).toBe(false);
      expect(await weightsOf(name)).toEqual({
        version: state === RunState.SUCCEEDED ? 5 : 4,
        names: ["config.json", "model.safetensors", "tokenizer.json"],
      });
      await expect(weightsOf(name, 3)).rejects.toMatchObject({ code: "NotFound" });
      // Looking for it has not made a bucket.
      expect(await bucketExists(name)).toBe(false);
    },
  );

  it("keeps the newest version, and the first with its tokenizer, where no model can be read", async () => {
    await begin("unseen");
    await finish("unseen", RunState.FAILED, { checkpoint: { ...checkpointOf("unseen"), path: "/not/mounted/here" } });
    expect(await store.list("unseen")).toEqual([0, 5]);
    expect((await weightsOf("unseen")).version).toBe(5);
  });

  it("shows what runs take up, and deletes one that is over with all that was kept, its trained student excepted", async () => {
    await begin("gone");
    const student = directoryOf("gone", "student");
    await model(student);
    await expect(client.deleteRun({ runId: "gone" })).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringMatching(/running.*retort stop gone/),
    });
    await runs.register("gone", { role: "student", name: "student-0", pid: 1, grpcPort: 1, healthPort: 1, metricsPort: 1 });
    await runs.transition("gone", RunState.FAILED, "", { output: student });
    const { run } = await client.getRun({ runId: "gone" });
    expect(Number(run!.sizeBytes)).toBeGreaterThan(1000);
    const { freedBytes } = await client.deleteRun({ runId: "gone" });
    expect(Number(freedBytes)).toBeGreaterThan(1000);
    expect(freedBytes).toBeLessThan(run!.sizeBytes);
    expect(await readdir(directoryOf("gone"))).toEqual(["student"]);
    expect(await readdir(student)).toHaveLength(3);
    await expect(client.getRun({ runId: "gone" })).rejects.toMatchObject({ code: "NotFound" });
    await expect(client.deleteRun({ runId: "gone" })).rejects.toMatchObject({ code: "NotFound" });
    const left = await streams.manager.streams.info("KV_retort_runs", { subjects_filter: "$KV.retort_runs.gone.>" });
    expect(left.state.subjects ?? {}).toEqual({});
    expect([await bucketExists("gone"), await lastEvent(streams, "gone")]).toEqual([false, 0]);
    const results = await streams.manager.streams.info(streamNames.results, { subjects_filter: "retort.results.gone.>" });
    expect(results.state.subjects ?? {}).toEqual({});
    for await (const { name } of streams.manager.consumers.list(streamNames.prompts)) expect(name).not.toContain("gone");
    expect((await client.listRuns({})).runs.map(({ runId }) => runId)).not.toContain("gone");
  });

  it("never deletes an output elsewhere, nor another run whose name begins alike", async () => {
    const output = join(dataDir, "elsewhere");
    await model(output);
    await begin("twin");
    await begin("twin-2");
    await finish("twin", RunState.SUCCEEDED, { output });
    await client.deleteRun({ runId: "twin" });
    expect([existsSync(directoryOf("twin")), await readdir(output)]).toEqual([
      false,
      ["config.json", "model.safetensors", "tokenizer.json"],
    ]);
    expect((await client.getRun({ runId: "twin-2" })).run!.state).toBe(RunState.RUNNING);
    expect([await store.list("twin-2"), await lastEvent(streams, "twin-2")]).toEqual([[0, 4, 5], expect.any(Number)]);
    expect(await lastEvent(streams, "twin-2")).toBeGreaterThan(0);
    await finish("twin-2", RunState.FAILED);
  });

  it("deletes what is left of a run whose record is lost", async () => {
    await begin("lost");
    await streams.js.publish("$KV.retort_runs.lost", bytes("garbage"));
    expect(Number((await client.deleteRun({ runId: "lost" })).freedBytes)).toBeGreaterThan(1000);
    expect([existsSync(directoryOf("lost")), await bucketExists("lost")]).toEqual([false, false]);
    await expect(client.deleteRun({ runId: "never-was" })).rejects.toMatchObject({ code: "NotFound" });
  });

  it("deletes old runs by itself if it is told to, and none that is going, young or resumed", async () => {
    const now = new Date();
    const daysAgo = (days: number) => timestampFromDate(new Date(now.getTime() - days * 86_400_000));
    const make = (runId: string, state: RunState, days: number) =>
      runs.create(newRun({ runId, spec, state, created: daysAgo(99), finished: state === RunState.RUNNING ? undefined : daysAgo(days) }));
    await make("old", RunState.SUCCEEDED, 8);
    await make("young", RunState.FAILED, 6);
    await make("old-and-going", RunState.RUNNING, 0);
    const sweep = (keepDays: number) => new Retention({ runs, storage, supervisor, keepDays, log, now: () => now }).sweep();
    const ids = async () => (await runs.list()).map(({ runId }) => runId).filter((runId) => /old|young/.test(runId));
    await sweep(0);
    expect((await ids()).sort()).toEqual(["old", "old-and-going", "young"]);
    await sweep(7);
    expect((await ids()).sort()).toEqual(["old-and-going", "young"]);
  });
});
