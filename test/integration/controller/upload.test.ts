import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { upload, uploadInputs } from "../../../services/cli/runs/upload.js";
import { Supervisor } from "../../../services/controller/runs/supervisor.js";
import { controllerService } from "../../../services/controller/service.js";
import { UploadStore } from "../../../services/controller/uploads/upload-store.js";
import { createLog } from "../../../services/shared/base/log.js";
import { type Client, createClient } from "../../../services/shared/base/rpc/client.js";
import { RpcServer } from "../../../services/shared/base/rpc/server.js";
import { RunStore } from "../../../services/shared/flow/runs/run-store.js";
import { parseSpec } from "../../../services/shared/flow/runs/spec.js";
import { ensureStreams } from "../../../services/shared/flow/streams.js";
import { ControllerService } from "../../../services/shared/gen/retort/v1/controller_pb.js";
import { controllerContext } from "../../support/runs/controller-context.js";
import { FakeLauncher } from "../../support/runs/fake-launcher.js";
import { example } from "../../support/runs/run-bench.js";
import { TestNats } from "../../support/servers/nats.js";
import { NatsProxy } from "../../support/servers/nats-proxy.js";

const log = createLog("test", { level: "silent", format: "json" });

describe("uploads to a controller", () => {
  let nats: TestNats;
  let directory: string;
  let server: RpcServer;
  let proxy: NatsProxy;
  let client: Client<typeof ControllerService>;
  let supervisor: Supervisor;
  let launcher: FakeLauncher;
  let runs: RunStore;
  let uploads: UploadStore;
  const found = (reference: string) => uploads.find(reference);

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-upload-"));
    nats = await TestNats.start();
    const streams = await nats.connect();
    await ensureStreams(streams);
    runs = await RunStore.open(streams);
    launcher = new FakeLauncher();
    supervisor = new Supervisor({ streams, runs, launcher, log });
    const context = () => controllerContext({ streams, runs, supervisor, uploads, directory });
    uploads = new UploadStore(join(directory, "uploads"), 1e9);
    server = new RpcServer([controllerService(context)], { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 2 ** 26 }, log);
    await server.start();
    proxy = await NatsProxy.start(server.port);
    client = createClient(ControllerService, `127.0.0.1:${proxy.port}`, { timeoutMs: 60_000, maxMessageBytes: 2 ** 26 });
  });
  afterAll(async () => {
    client.close();
    for (const run of await runs.list()) await launcher.end(run.runId, "learner", 70, "the test is over");
    await proxy.stop();
    await server.stop();
    await supervisor.close();
    await nats.stop();
    await rm(directory, { recursive: true });
  });

  it("of an adapter is refused where its base model would stay behind, and goes where the base is the controller's own", async () => {
    const adapter = join(directory, "adapter");
    await mkdir(adapter);
    await writeFile(join(adapter, "adapter_model.safetensors"), "factors");
    const named = (base: string) =>
      writeFile(join(adapter, "adapter_config.json"), JSON.stringify({ peft_type: "LORA", base_model_name_or_path: base }));
    const base = resolve(example("models/student"));
    await named(base);
    const way = `${adapter} is an adapter of ${base}, which isn't sent with it; make one model of both (retort export ${adapter} --merged`;
    await expect(upload(client, adapter)).rejects.toMatchObject({ code: "FailedPrecondition", message: expect.stringContaining(way) });
    await named("/models/on/the/cluster");
    expect(await readdir(await found(await upload(client, adapter)))).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  });

  it("sends of a model's directory what is read of it, links among it, and of data the rows", async () => {
    const model = join(directory, "model");
    await cp(resolve(example("models/student")), model, { recursive: true });
    await writeFile(join(model, "optimizer.bin"), "large");
    await rm(join(model, "config.json"));
    await symlink(resolve(example("models/student/config.json")), join(model, "config.json"));
    const place = await found(await upload(client, model));
    expect((await readdir(place)).sort()).toEqual((await readdir(example("models/student"))).filter((name) => name !== "README.md").sort());
    expect(await readFile(join(place, "config.json"))).toEqual(await readFile(example("models/student/config.json")));
    const data = join(directory, "data");
    await mkdir(join(data, "part"), { recursive: true });
    for (const name of ["a.jsonl", "part/b.parquet", "notes.txt"]) await writeFile(join(data, name), name);
    const rows = await found(await upload(client, data));
    expect((await readdir(rows, { recursive: true })).sort()).toEqual(["a.jsonl", "part", "part/b.parquet"]);
    expect(await upload(client, join(data, "a.jsonl"))).toMatch(/^upload:\/\/[0-9a-f]{64}\/a\.jsonl$/);
    await expect(upload(client, join(directory, "nothing"))).rejects.toMatchObject({
      code: "NotFound",
      message: expect.stringMatching(/cannot be read \(ENOENT\)/),
    });
    await mkdir(join(directory, "empty"));
    await expect(upload(client, join(directory, "empty"))).rejects.toMatchObject({
      code: "NotFound",
      message: expect.stringMatching(/holds neither a model/),
    });
  });

  it("goes on where the connection broke, and where the controller began anew", async () => {
    const path = join(directory, "large.jsonl");
    const bytes = Buffer.alloc(40_000_000, "0123456789abcdef");
    await writeFile(path, bytes);
    let cuts = 0;
    const seen: number[] = [];
    const onProgress = (done: number) => {
      seen.push(done);
      if (cuts === 0 && done > 10_000_000) cuts += proxy.cut("*");
      if (cuts === 1 && done > 20_000_000) {
        cuts++;
        uploads = new UploadStore(join(directory, "uploads"), 1e9);
      }
    };
    const place = await found(await upload(client, path, { onProgress }));
    expect(bytes.equals(await readFile(place))).toBe(true);
    expect(cuts).toBe(2);
    // Nothing of it was sent twice.
    expect(seen.every((done, i) => i === 0 || done >= seen[i - 1]!)).toBe(true);
    expect(seen.at(-1)).toBe(bytes.length);
    const before = seen.length;
    await upload(client, path, { onProgress });
    expect(seen).toHaveLength(before);
  }, 60_000);

  it("is what a spec may name; what a run reads can't be removed until it is over", async () => {
    const spec = parseSpec(
      `
name: uploaded
student: { model: models/student }
teachers: [{ model: models/teacher }]
data: { path: data/train.jsonl }
phases: [{ preset: on_policy_kd, steps: 4, sampling: { maxNewTokens: 16 } }]`,
      example("spec.yaml"),
    );
    spec.evaluation = undefined;
    await uploadInputs(client, spec);
    const named = [spec.student!.model, spec.teachers[0]!.model, spec.data!.path];
    expect(named.every((name) => name.startsWith("upload://"))).toBe(true);
    const { run } = await client.startRun({ spec });
    expect(run!.spec!.data!.path).toBe(await found(named[2]!));
    const [student = ""] = named;
    await expect(client.deleteUpload({ reference: student })).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringMatching(/^run uploaded-.* reads upload:\/\/.* \(student\.model\); stop it, or wait for its end$/),
    });
    await client.stopRun({ runId: run!.runId, now: true });
    await launcher.end(run!.runId, "learner", 0, "");
    expect((await client.deleteUpload({ reference: student })).freedBytes).toBeGreaterThan(0n);
    const { problems } = await client.validateRun({ spec });
    expect(problems).toEqual([
      expect.objectContaining({
        field: "student.model",
        message: expect.stringMatching(/nothing of that digest was uploaded here; `retort uploads` lists/),
      }),
    ]);
    expect((await client.listUploads({})).uploads.map(({ reference }) => reference)).not.toContain(student);
  });
});
