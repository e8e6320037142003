import { createHash } from "node:crypto";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Supervisor } from "../../../services/controller/runs/supervisor.js";
import { controllerService } from "../../../services/controller/service.js";
import { createLog } from "../../../services/shared/base/log.js";
import { type Client, createClient } from "../../../services/shared/base/rpc/client.js";
import { RpcServer } from "../../../services/shared/base/rpc/server.js";
import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { publish } from "../../../services/shared/base/streams/publish.js";
import { publishEvent } from "../../../services/shared/flow/runs/events.js";
import { RunStore } from "../../../services/shared/flow/runs/run-store.js";
import { parseSpec } from "../../../services/shared/flow/runs/spec.js";
import { ensureStreams, streamNames } from "../../../services/shared/flow/streams.js";
import { DirectoryStore } from "../../../services/shared/flow/weights/directory-store.js";
import { ControllerService } from "../../../services/shared/gen/retort/v1/controller_pb.js";
import { Work } from "../../../services/shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import type { RunSpec } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { controllerContext } from "../../support/runs/controller-context.js";
import { FakeLauncher } from "../../support/runs/fake-launcher.js";
import { example } from "../../support/runs/run-bench.js";
import { storeBytes } from "../../support/runs/stored-bytes.js";
import { TestNats } from "../../support/servers/nats.js";

const log = createLog("test", { level: "silent", format: "json" });
const spec = (more = ""): RunSpec =>
  parseSpec(
    `
name: steered
student: { model: models/student }
teachers: [{ name: a, model: models/teacher }, { name: b, model: models/teacher }]
data: { path: data/train.jsonl }
rewards: [{ kind: exact_match }]
roles: { student: { replicas: 3 }, teacher: { replicas: 2 } }
phases: [{ preset: rl_gkd, steps: 4, sampling: { maxNewTokens: 16 } }]
${more}`,
    example("spec.yaml"),
  );

// The test is the launcher, the learner, and whoever calls the service.
describe("a controller", () => {
  let nats: TestNats;
  let streams: Streams;
  let runs: RunStore;
  let store: DirectoryStore;
  let directory: string;
  let server: RpcServer;
  let client: Client<typeof ControllerService>;
  let launcher: FakeLauncher;
  let supervisor: Supervisor;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-controller-"));
    nats = await TestNats.start();
    streams = await nats.connect();
    await ensureStreams(streams);
    runs = await RunStore.open(streams);
    store = new DirectoryStore(directory);
  });
  beforeEach(async () => {
    launcher = new FakeLauncher();
    supervisor = new Supervisor({ streams, runs, launcher, log });
    const context = controllerContext({ streams, runs, store, supervisor, directory });
    const options = { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 1e7 };
    server = new RpcServer([controllerService(() => context)], options, log);
    await server.start();
    client = createClient(ControllerService, `127.0.0.1:${server.port}`, { timeoutMs: 60_000, maxMessageBytes: 1e7 });
    await supervisor.adopt();
    launcher.launched.length = 0;
  });
  afterEach(async () => {
    for (const run of await runs.list()) await launcher.end(run.runId, "learner", 70, "the test is over");
    client.close();
    await server.stop();
    await supervisor.close();
  });
  afterAll(async () => {
    await nats.stop();
    await rm(directory, { recursive: true });
  });

  const start = async () => (await client.startRun({ spec: spec() })).run!.runId;
  const consumers = async () => {
    const names: string[] = [];
    for (const stream of [streamNames.prompts, streamNames.rollouts])
      for await (const { name } of streams.manager.consumers.list(stream)) names.push(name);
    return names.sort();
  };
  const stateOf = async (runId: string) => (await runs.get(runId)).state;
  /** What a learner does when its run is over. */
  const over = async (runId: string, state: RunState) => {
    await runs.update(runId, (run) => {
      run.state = state;
      return true;
    });
    await publishEvent(streams, runId, { case: "stateChanged", value: { state, message: "" } }, `over/${Math.random()}`);
  };

  it("starts a run: its consumers first, then its roles, the learner before the others", async () => {
    const runId = await start();
    expect(launcher.launched).toEqual([
      {
        runId,
        sets: [
          { runId, role: "learner", replicas: 1 },
          { runId, role: "student", replicas: 3 },
          { runId, role: "teacher", teacher: "a", replicas: 2 },
          { runId, role: "teacher", teacher: "b", replicas: 2 },
          { runId, role: "reward", replicas: 1 },
        ],
      },
    ]);
    expect(await consumers()).toEqual(
      [
        `reward-${runId}`,
        `student-${runId}`,
        ...["a", "b"].flatMap((name) => [`teacher-${runId}-${name}`, `writer-${runId}-${name}`]),
      ].sort(),
    );
    expect((await client.getRun({ runId })).run).toMatchObject({ state: RunState.PENDING, totalSteps: 4 });
  });

  it("refuses a bad spec with all that is wrong, and starts nothing", async () => {
    const before = (await client.listRuns({})).runs.length;
    const bad = spec();
    bad.student!.model = "/nowhere/student";
    bad.data!.path = "/nowhere.jsonl";
    await expect(client.startRun({ spec: bad })).rejects.toMatchObject({
      code: "InvalidArgument",
      problems: [{ fieldPath: "student.model" }, { fieldPath: "data.path" }],
    });
    const { problems } = await client.validateRun({ spec: bad });
    expect(problems.map(({ field }) => field)).toEqual(["student.model", "data.path"]);
    expect([launcher.launched, (await client.listRuns({})).runs.length]).toEqual([[], before]);
  });

  it.each([["learner"], ["student"], ["teacher"], ["reward"]] as const)(
    "fails the run when its %s cannot live, and takes everything away",
    async (role) => {
      const runId = await start();
      await runs.register(runId, { role, name: `${role}-0`, pid: 1, grpcPort: 1, healthPort: 2, metricsPort: 3 });
      await launcher.end(runId, role, 78, "device cuda is not available");
      expect(await runs.get(runId)).toMatchObject({
        state: RunState.FAILED,
        message: `${role} ended with code 78: device cuda is not available`,
      });
      expect(launcher.stopped).toContain(runId);
      expect(await consumers()).toEqual([]);
      expect(await runs.registrations(runId)).toEqual([]);
      // Told again, it changes nothing.
      await launcher.end(runId, role, 70, "another reason");
      expect((await runs.get(runId)).message).toContain("cuda");
    },
  );

  it("takes a run's roles away when its learner says that it is over", async () => {
    const runId = await start();
    await over(runId, RunState.SUCCEEDED);
    await launcher.end(runId, "learner", 0);
    expect([await stateOf(runId), launcher.stopped, await consumers()]).toEqual([RunState.SUCCEEDED, [runId], []]);
    await expect(client.stopRun({ runId })).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringContaining("succeeded"),
    });
    await expect(client.resumeRun({ runId })).rejects.toMatchObject({ code: "FailedPrecondition" });
  });

  it("starts the roles again when a run was resumed before its old learner's end came to be known", async () => {
    const runId = await start();
    await over(runId, RunState.STOPPED);
    await client.resumeRun({ runId });
    await launcher.end(runId, "learner", 0);
    expect(launcher.launched.map((launch) => launch.runId)).toEqual([runId, runId, runId]);
    // Once, by the resume itself: what ended after it belongs to the run as it goes on.
    expect([await stateOf(runId), launcher.stopped]).toEqual([RunState.PENDING, [runId]]);
  });

  it("takes up what is going, and only that, after a restart", async () => {
    const going = await start();
    const done = await start();
    await over(done, RunState.SUCCEEDED);
    const next = new FakeLauncher();
    const restarted = new Supervisor({ streams, runs, launcher: next, log });
    await restarted.adopt();
    expect(next.launched.map(({ runId }) => runId)).toEqual([going]);
    // It hears of ends now; those of runs that nobody knows are of no use.
    await next.end("unknown", "student", 70);
    expect(next.stopped).toEqual(["unknown"]);
    await restarted.close();
  });

  it("tells the learner what is wanted, and refuses what cannot be", async () => {
    const runId = await start();
    await client.pauseRun({ runId });
    expect(await runs.control(runId)).toBe("pause");
    await client.resumeRun({ runId });
    expect(await runs.control(runId)).toBe("run");
    expect((await client.stopRun({ runId })).run!.state).toBe(RunState.STOPPING);
    expect(await runs.control(runId)).toBe("stop");
    for (const call of [client.getRun, client.pauseRun, client.stopRun, client.resumeRun])
      await expect(call({ runId: "nope" })).rejects.toMatchObject({ code: "NotFound", message: expect.stringContaining("nope") });
  });

  it("replays a run's events to whoever watches, from where he asks, through a resume to the end", async () => {
    const runId = await start();
    await over(runId, RunState.STOPPED);
    await client.resumeRun({ runId });
    await publishEvent(streams, runId, { case: "stepFinished", value: { step: 4 } }, "step");
    await over(runId, RunState.SUCCEEDED);
    const seen: { kind: string | undefined; sequence: bigint }[] = [];
    for await (const { event } of client.watchRun({ runId })) seen.push({ kind: event!.event.case, sequence: event!.sequence });
    // Pending, stopped, pending again, the step, succeeded.
    expect(seen.map(({ kind }) => kind)).toEqual([...Array<string>(3).fill("stateChanged"), "stepFinished", "stateChanged"]);
    const rest: (string | undefined)[] = [];
    for await (const { event } of client.watchRun({ runId, fromSequence: seen[3]!.sequence })) rest.push(event!.event.case);
    expect(rest).toEqual(["stepFinished", "stateChanged"]);
    for await (const { event } of client.watchRun({ runId, fromSequence: seen[4]!.sequence + 1n })) rest.push(event!.event.case);
    expect(rest).toHaveLength(2);
  });

  it("comes to an end for one who asks for what came after the end of a run: its processes tell what they do until they are gone", async () => {
    const runId = await start();
    await over(runId, RunState.SUCCEEDED);
    let end = 0n;
    for await (const { event } of client.watchRun({ runId })) end = event!.sequence;
    for (const name of ["1", "2"])
      await publishEvent(streams, runId, { case: "activity", value: { process: { role: "student" } } }, `late/${name}`);
    const tail: (string | undefined)[] = [];
    for await (const { event } of client.watchRun({ runId, fromSequence: end + 1n })) tail.push(event!.event.case);
    expect(tail).toEqual(["activity", "activity"]);
  });

  it("sends a version whole: its weights, with the config and tokenizer that came with the first", async () => {
    const runId = await start();
    const files = async (version?: number) => {
      const found: Record<string, string> = {};
      for await (const { part } of client.getWeights({ runId, version })) {
        if (part.case === "chunk") found[part.value.name] = (found[part.value.name] ?? "") + Buffer.from(part.value.data).toString();
        else found.version = String(part.value!.version);
      }
      return found;
    };
    await expect(files()).rejects.toMatchObject({ code: "NotFound", message: expect.stringContaining("no weights yet") });
    const text = (value: string) => new Uint8Array(Buffer.from(value));
    await storeBytes(
      store,
      runId,
      0,
      new Map([
        ["config.json", text("{}")],
        ["model.safetensors", text("old")],
      ]),
      1n,
    );
    await storeBytes(store, runId, 3, new Map([["model.safetensors", text("new")]]), 1n);
    await runs.setPolicy(runId, { version: 3, fence: 1n });
    expect(await files()).toEqual({ version: "3", "config.json": "{}", "model.safetensors": "new" });
    expect(await files(0)).toEqual({ version: "0", "config.json": "{}", "model.safetensors": "old" });
    await expect(files(2)).rejects.toMatchObject({ code: "NotFound", message: expect.stringContaining("kept: 0, 3") });
  });

  it("says what there is to send with its digests, and sends one file from a byte on", async () => {
    const runId = await start();
    const files = new Map([
      ["config.json", Buffer.from("{}")],
      ["model.safetensors", Buffer.from("weights")],
    ]);
    await storeBytes(store, runId, 0, files, 1n);
    await runs.setPolicy(runId, { version: 0, fence: 1n });
    const answers = async (request: object) => {
      const parts: object[] = [];
      for await (const { part } of client.getWeights({ runId, ...request })) parts.push(part.value!);
      return parts;
    };
    const digests = [...files].map(([name, bytes]) => ({ name, digest: createHash("sha256").update(bytes).digest("hex") }));
    expect(await answers({ manifestOnly: true })).toEqual([
      expect.objectContaining({ version: 0, files: digests.map(expect.objectContaining) }),
    ]);
    const chunk = (data: string, offset: bigint) =>
      expect.objectContaining({ name: "model.safetensors", offset, data: new Uint8Array(Buffer.from(data)) });
    const some = { files: [{ name: "model.safetensors", offset: 3n }] };
    expect((await answers(some)).slice(1)).toEqual([chunk("ghts", 3n)]);
    // Of a directory, too.
    const output = join(directory, "trained");
    await cp(resolve(example("models/student")), output, { recursive: true });
    await runs.update(runId, (run) => Object.assign(run, { state: RunState.SUCCEEDED, output }) !== undefined);
    const [manifest] = (await answers({ manifestOnly: true })) as { files: { name: string; digest: string }[] }[];
    const config = await readFile(join(output, "config.json"));
    expect(manifest!.files.find(({ name }) => name === "config.json")!.digest).toBe(createHash("sha256").update(config).digest("hex"));
    const sent = (await answers({ files: [{ name: "config.json", offset: 5n }] })) as { data?: Uint8Array }[];
    expect(Buffer.concat(sent.slice(1).map(({ data }) => data!)).equals(config.subarray(5))).toBe(true);
  });

  it("takes the model of a run that is over in a spec, and says why another one's can't be had", async () => {
    const named = async (reference: string) => {
      const asked = spec();
      asked.teachers[0]!.model = reference;
      return (await client.validateRun({ spec: asked })).problems;
    };
    const runId = await start();
    expect(await named(`run://${runId}`)).toEqual([
      expect.objectContaining({
        field: "teachers[0].model",
        message: expect.stringMatching(/ is going: wait for its end, or name what `retort export` makes$/),
      }),
    ]);
    const output = resolve(example("models/teacher"));
    await runs.update(runId, (run) => Object.assign(run, { state: RunState.SUCCEEDED, output }) !== undefined);
    expect(await named(`run://${runId}`)).toEqual([]);
    const asked = spec();
    asked.teachers[0]!.model = "run://steered";
    asked.teachers[1]!.model = "/nowhere";
    expect((await client.validateRun({ spec: asked })).problems.map(({ field }) => field)).toEqual(["teachers[1].model"]);
    asked.teachers[1]!.model = output;
    const started = (await client.startRun({ spec: asked })).run!;
    expect(started.spec!.teachers.map(({ model }) => model)).toEqual([output, output]);
    const refusals = [
      ["run://nope", /^there is no run "nope"; the runs are /],
      [`run://${runId}/best`, /has no best checkpoint/],
      [`run://${runId}/7`, /there is no checkpoint of step 7 to be read from here; it has none$/],
      ["run://a/b/c", /names no model of a run; write run:\/\/RUN, run:\/\/RUN\/best or run:\/\/RUN\/STEP$/],
    ] as const;
    for (const [reference, message] of refusals)
      expect(await named(reference)).toEqual([
        expect.objectContaining({ field: "teachers[0].model", message: expect.stringMatching(message) }),
      ]);
  });

  it("says what a run's processes are at, what waits between them, and how fast it goes", async () => {
    const runId = await start();
    const process = { role: "student", teacher: "", instance: "here-1" };
    await publishEvent(
      streams,
      runId,
      { case: "activity", value: { process, work: Work.SAMPLING, message: "step 3", step: 3, done: 1n, total: 4n } },
      "a",
    );
    await publishEvent(
      streams,
      runId,
      { case: "processFigures", value: { process, seconds: 10, tokens: 500n, residentBytes: 1000n } },
      "b",
    );
    const step = { step: 2, totalSteps: 4, seconds: 2, completionTokens: 300, stalenessMean: 0.5, stalenessMax: 1, tasksInFlight: 6 };
    await publishEvent(streams, runId, { case: "stepFinished", value: step }, "c");
    await publish(streams, `retort.prompts.${runId}.student.3.0`, new Uint8Array([1]), { messageId: "d" });
    const { processes, queues, pace } = await client.readProcesses({ runId });
    expect(processes).toEqual([
      expect.objectContaining({
        process: expect.objectContaining(process),
        activity: expect.objectContaining({ work: Work.SAMPLING, message: "step 3", done: 1n, total: 4n }),
        figures: expect.objectContaining({ tokens: 500n, residentBytes: 1000n }),
      }),
    ]);
    expect(queues.map(({ role, teacher, waiting }) => [role, teacher, Number(waiting)])).toEqual([
      ["student", "", 1],
      ...["writer", "teacher"].flatMap((role) => ["a", "b"].map((teacher) => [role, teacher, 0])),
      ["reward", "", 0],
    ]);
    expect(pace).toMatchObject({ step: 2, tokensPerSecond: 150, stalenessMean: 0.5, stalenessMax: 1, tasksInFlight: 6 });
    await over(runId, RunState.SUCCEEDED);
    const ended = await client.readProcesses({ runId });
    expect(ended.processes[0]!.activity).toBeUndefined();
    await expect(client.readProcesses({ runId: "none" })).rejects.toMatchObject({ code: "NotFound" });
  });
});
