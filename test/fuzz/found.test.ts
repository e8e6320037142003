import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clone, create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { rewardService } from "../../services/reward/service.js";
import { RetortError } from "../../services/shared/base/errors.js";
import { createLog } from "../../services/shared/base/log.js";
import { makeDirectory } from "../../services/shared/base/make-directory.js";
import { RpcServer } from "../../services/shared/base/rpc/server.js";
import { toStatus } from "../../services/shared/base/rpc/status.js";
import { writeAtomically } from "../../services/shared/base/write-atomically.js";
import { audit } from "../../services/shared/flow/ledger/audit.js";
import { DirectoryStore } from "../../services/shared/flow/weights/directory-store.js";
import { WeightsManifestSchema } from "../../services/shared/gen/retort/v1/flow_pb.js";
import { RewardService } from "../../services/shared/gen/retort/v1/reward_pb.js";
import { configWarnings } from "../../services/shared/ml/models/config/keys.js";
import { parseConfig } from "../../services/shared/ml/models/parse-config.js";
import { within } from "../support/fuzz/cases.js";
import { RawClient } from "../support/fuzz/raw-client.js";
import { account } from "../support/fuzz/records.js";
import { runOf } from "../support/runs/run-spec.js";
import { fetchedBytes, storeBytes } from "../support/runs/stored-bytes.js";

// Each of these was found by the tests beside this one, and then mended.
describe("what fuzzing found", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-found-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it.each([
    ["no record at all", Buffer.from([0xff, 0xff, 0xff])],
    ["a record that ends too early", Buffer.from([0x0a, 0x05, 0x0a])],
    ["text that is not UTF-8", Buffer.from([0x0a, 0x04, 0x0a, 0x02, 0xff, 0xfe])],
    ["groups that never end", Buffer.alloc(5000, 0x0b)],
  ])("a request of %s is the caller's fault, not a bug of the server", async (_, bytes) => {
    const none = async () => [];
    const log = createLog("found", { level: "silent", format: "json" });
    const judges = { classifier: none, external: none } as unknown as Parameters<typeof rewardService>[0];
    const texts = {} as unknown as Parameters<typeof rewardService>[1];
    const server = new RpcServer([rewardService(judges, texts)], { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 1e6 }, log);
    await server.start();
    const client = new RawClient(server.port);
    const { code, details } = await client.call(RewardService.method.evaluate, bytes, { deadlineMs: 30_000 });
    client.close();
    await server.stop();
    expect([code, details]).toEqual([3, expect.stringMatching(/bytes are no EvaluateRequest: /)]);
  });

  it.each([
    ["quotes half of a character", "unexpected token \ud83d"],
    ["is cut within a character", `${"x".repeat(1999)}👩`],
  ])("a refusal whose message %s can be sent: grpc-js threw at it, which ended the process", (_, message) => {
    const { details } = toStatus(new RetortError("InvalidArgument", message));
    expect(decodeURI(encodeURI(details))).toBe(details);
  });

  it("a path with a NUL character is the caller's fault", async () => {
    const thrown = await readdir("a\0b").catch((error: unknown) => RetortError.from(error));
    expect(thrown).toMatchObject({ code: "InvalidArgument", message: expect.stringMatching(/NUL/) });
  });

  it("a directory where none can be made is refused: Node's own mkdir took a thread for good", async () => {
    if (process.platform !== "linux") return;
    await expect(within(30_000, "mkdir", makeDirectory("/proc/none/of/these"))).rejects.toMatchObject({ code: "ENOENT" });
    await makeDirectory(join(directory, "a/b/c"));
    await makeDirectory(join(directory, "a/b/c"));
    await Promise.all([1, 2, 3].map(() => makeDirectory(join(directory, "x/y/z"))));
    expect((await readdir(directory, { recursive: true })).sort()).toEqual(["a", "a/b", "a/b/c", "x", "x/y", "x/y/z"]);
  });

  it.each<[string, MessageInitShape<typeof WeightsManifestSchema>]>([
    ["another version", { version: 0 }],
    ["another run", { runId: "other" }],
    ["a directory above", { runId: ".." }],
    ["a file elsewhere", { files: [{ name: "../0/config.json" }] }],
    ["no file", { files: [{ name: ".." }] }],
    ["a name that no file can have", { files: [{ name: "é".repeat(200) }] }],
    ["itself", { files: [{ name: "manifest.binpb" }] }],
  ])("a stored manifest that names %s is refused, and its removal removes nothing else", async (_, fields) => {
    const store = new DirectoryStore(directory);
    const content = new Map([["config.json", Buffer.from("{}")]]);
    await storeBytes(store, "other", 1, content, 1n);
    await storeBytes(store, "run", 0, content, 1n);
    const manifest = clone(WeightsManifestSchema, await storeBytes(store, "run", 1, content, 1n));
    await mkdir(join(directory, "run", "1"), { recursive: true });
    const { runId, version, files, fence } = manifest;
    const wrong = create(WeightsManifestSchema, { runId, version, files, fence, ...fields } as MessageInitShape<
      typeof WeightsManifestSchema
    >);
    await writeFile(join(directory, "run", "1", "manifest.binpb"), toBinary(WeightsManifestSchema, wrong));
    const before = (await readdir(directory, { recursive: true })).sort();
    await expect(fetchedBytes(store, "run", 1)).rejects.toMatchObject({ code: "DataLoss" });
    await store.delete("run", 1);
    const own = (name: string) => name === "run/1" || name.startsWith("run/1/");
    expect((await readdir(directory, { recursive: true })).sort()).toEqual(before.filter((name) => !own(name)));
  });

  it("an account of a step far away, or of a million steps, ends in an audit that lists a hundred problems", () => {
    const run = runOf([{ steps: 100_000_000, batchSize: 2 }]);
    const few = audit([{ ...account, step: 3_000_000 }], { run, lastStep: 4, rows: undefined, learners: 2 });
    expect([few.holds, few.problems.length]).toEqual([false, 100]);
    const many = Array.from({ length: 300_000 }, (_, i) => ({ ...account, step: i + 1, tasks: [] }));
    const long = audit(many, { run, lastStep: 300_000, rows: undefined, learners: 2 });
    expect([long.steps, long.problems.at(-1)]).toEqual([300_000, expect.stringMatching(/^and \d+ more$/)]);
  });

  it.each(["constructor", "toString", "__proto__", "hasOwnProperty"])(
    "a config.json with the key %s is read as one with any other",
    (key) => {
      const config = JSON.parse(readFileSync("deploy/examples/num2words/models/student/config.json", "utf8")) as Record<string, unknown>;
      Object.defineProperty(config, key, { value: "x", enumerable: true });
      expect(parseConfig(config).hiddenSize).toBe(config.hidden_size);
      expect(configWarnings(config)).toEqual([`config.json: ${key} is "x", which no model of type ${String(config.model_type)} reads`]);
      expect(() => parseConfig({ ...config, model_type: key })).toThrow(RetortError);
    },
  );

  it("two writers of one file do not write into each other's", async () => {
    const path = join(directory, "file");
    const contents = Array.from({ length: 8 }, (_, i) => Buffer.alloc(100_000, i));
    await Promise.all(contents.map((bytes) => writeAtomically(path, bytes)));
    const written = await readFile(path);
    expect(contents.some((bytes) => bytes.equals(written))).toBe(true);
    expect(await readdir(directory)).toEqual(["file"]);
  });
});
