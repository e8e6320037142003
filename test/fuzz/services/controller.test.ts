import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { Supervisor } from "../../../services/controller/runs/supervisor.js";
import { controllerService } from "../../../services/controller/service.js";
import { UploadStore } from "../../../services/controller/uploads/upload-store.js";
import { createLog } from "../../../services/shared/base/log.js";
import { newRun, RunStore } from "../../../services/shared/flow/runs/run-store.js";
import { parseSpec } from "../../../services/shared/flow/runs/spec.js";
import { ensureStreams } from "../../../services/shared/flow/streams.js";
import { DirectoryStore } from "../../../services/shared/flow/weights/directory-store.js";
import {
  AuditRunRequestSchema,
  ControllerService,
  DeleteRunRequestSchema,
  DeleteUploadRequestSchema,
  GetRunRequestSchema,
  GetWeightsRequestSchema,
  ListRunsRequestSchema,
  ListSamplesRequestSchema,
  ListUploadsRequestSchema,
  PauseRunRequestSchema,
  PrepareUploadRequestSchema,
  ReadFiguresRequestSchema,
  ReadLogsRequestSchema,
  ReadProcessesRequestSchema,
  ResumeRunRequestSchema,
  StartRunRequestSchema,
  StopRunRequestSchema,
  UploadChunkRequestSchema,
  ValidateRunRequestSchema,
  WatchRunRequestSchema,
} from "../../../services/shared/gen/retort/v1/controller_pb.js";
import { RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { secret } from "../../support/fuzz/cases.js";
import { ServiceFuzz } from "../../support/fuzz/service-fuzz.js";
import { tameTexts } from "../../support/fuzz/tame.js";
import { controllerContext } from "../../support/runs/controller-context.js";
import { FakeLauncher } from "../../support/runs/fake-launcher.js";
import { example } from "../../support/runs/run-bench.js";
import { storeBytes } from "../../support/runs/stored-bytes.js";
import { TestNats } from "../../support/servers/nats.js";

const specText = `
name: fuzzed
student: { model: models/student }
teachers: [{ name: a, model: models/teacher }, { name: b, model: models/teacher }]
data: { path: data/held-out.jsonl, limit: 8 }
rewards: [{ kind: exact_match, weight: 2 }]
evaluation: { everySteps: 2, holdOut: 4 }
phases: [{ preset: rl_gkd, steps: 4, batchSize: 4 }, { preset: opd, steps: 1, sampling: { maxNewTokens: 8 } }]`;

describe("ControllerService, asked with anything", () => {
  let directory: string;
  let nats: TestNats;
  let supervisor: Supervisor;
  let fuzzed: ServiceFuzz;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-fuzz-"));
    const hidden = join(directory, "private.jsonl");
    await mkdir(join(directory, "empty"));
    await writeFile(hidden, `${secret}: {"key": 1}\n`);
    nats = await TestNats.start();
    const streams = await nats.connect();
    await ensureStreams(streams);
    const runs = await RunStore.open(streams);
    const store = new DirectoryStore(join(directory, "weights"));
    supervisor = new Supervisor({
      streams,
      runs,
      launcher: new FakeLauncher(),
      log: createLog("fuzz", { level: "silent", format: "json" }),
    });
    const spec = parseSpec(specText, example("spec.yaml"));
    const kept = { runId: "kept", spec, state: RunState.RUNNING, totalSteps: 5 };
    await runs.create(newRun({ ...kept, runId: "going" }));
    await runs.create(newRun({ ...kept, state: RunState.SUCCEEDED }));
    const files = new Map([["model.safetensors", new Uint8Array([1, 2, 3])]]);
    await storeBytes(store, "kept", 0, files, 1n);
    const context = controllerContext({
      streams,
      runs,
      store,
      supervisor,
      uploads: new UploadStore(join(directory, "uploads"), 1e9),
      directory,
    });
    const runId = "kept";
    const abc = createHash("sha256").update("abc").digest("hex");
    const ids = ["kept", "going", "none", "A", "a.b", "a.>", "*", "-", "\0", "../weights", "a".repeat(64)];
    const models = ["", "teacher", "student"].map((name) => (name ? example(`models/${name}`) : ""));
    const places = ["", hidden, directory, join(directory, "empty"), "/dev/null", "/etc/passwd", "\0", "relative/path"];
    fuzzed = new ServiceFuzz({
      implementation: controllerService(() => context),
      good: {
        startRun: [create(StartRunRequestSchema, { spec })],
        validateRun: [create(ValidateRunRequestSchema, { spec })],
        getRun: [create(GetRunRequestSchema, { runId })],
        listRuns: [create(ListRunsRequestSchema)],
        watchRun: [create(WatchRunRequestSchema, { runId })],
        pauseRun: [create(PauseRunRequestSchema, { runId: "going" })],
        resumeRun: [create(ResumeRunRequestSchema, { runId: "going" })],
        stopRun: [create(StopRunRequestSchema, { runId: "going" })],
        deleteRun: [create(DeleteRunRequestSchema, { runId: "none" })],
        auditRun: [create(AuditRunRequestSchema, { runId })],
        readFigures: [create(ReadFiguresRequestSchema, { runId, names: ["loss"], maxPoints: 10 })],
        listSamples: [create(ListSamplesRequestSchema, { runId })],
        readProcesses: [create(ReadProcessesRequestSchema, { runId })],
        readLogs: [create(ReadLogsRequestSchema, { runId, role: "learner" })],
        getWeights: [create(GetWeightsRequestSchema, { runId, version: 0 })],
        prepareUpload: [create(PrepareUploadRequestSchema, { files: [{ path: "a/rows.jsonl", sizeBytes: 3n, digest: abc }] })],
        uploadChunk: [create(UploadChunkRequestSchema, { digest: abc, data: new Uint8Array(Buffer.from("abc")) })],
        listUploads: [create(ListUploadsRequestSchema)],
        deleteUpload: [create(DeleteUploadRequestSchema, { reference: `upload://${"0".repeat(64)}` })],
      },
      unlike: [
        "StartRun",
        "ListRuns",
        "PauseRun",
        "ResumeRun",
        "StopRun",
        "DeleteRun",
        "AuditRun",
        "DeleteUpload",
        "ListUploads",
        "PrepareUpload",
        "UploadChunk",
      ],
      endless: ["WatchRun"],
      tame: (method, request) =>
        tameTexts(method.input, request, {
          runId: ids,
          output: ["", join(directory, "out"), "/dev/null/x", "\0"],
          model: [...models, ...places],
          tokenizer: [...models, ...places],
          path: [example("data/held-out.jsonl"), ...places],
          address: ["", "127.0.0.1:1", "nonsense"],
        }),
    });
    await fuzzed.start();
  });
  afterAll(async () => {
    await fuzzed.stop();
    await supervisor.close();
    await nats.stop();
    await rm(directory, { recursive: true });
  });

  it("answers, or refuses by name, and goes on as before", () => fuzzed.run(700));

  it("refuses values that are nested as deep as a message can be", async () => {
    const spec = parseSpec(specText, example("spec.yaml"));
    const method = ControllerService.method.validateRun;
    // RunSpec.data (5), DataSpec.chatTemplateKwargs (12), Struct.fields (1): {a: [[[…]]]}
    for (const depth of [50, 500, 5_000, 50_000]) {
      const heads: Buffer[] = [];
      for (let n = 0, length = 0; n < 2 * depth; n++) {
        heads.push(head(n % 2 ? 6 : 1, length));
        length += heads.at(-1)!.length;
      }
      const entry = Buffer.concat([field(1, Buffer.from("a")), field(2, Buffer.concat(heads.reverse()))]);
      const data = field(5, field(12, field(1, entry)));
      const bytes = Buffer.concat([toBinary(ValidateRunRequestSchema, create(ValidateRunRequestSchema, { spec })), field(1, data)]);
      await fuzzed.send(method, bytes);
    }
  });
});

/** What stands before a field of wire type 2 of so many bytes. */
function head(number: number, length: number): Buffer {
  const varint: number[] = [];
  for (let rest = length; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([number * 8 + 2, ...varint, rest]);
    varint.push((rest % 128) | 128);
  }
}

const field = (number: number, content: Buffer): Buffer => Buffer.concat([head(number, content.length), content]);
