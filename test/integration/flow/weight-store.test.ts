import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Objm } from "@nats-io/obj";
import { type FileBytes, piecesOf } from "../../../services/shared/base/file-bytes.js";
import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { DirectoryStore } from "../../../services/shared/flow/weights/directory-store.js";
import { NatsStore } from "../../../services/shared/flow/weights/nats-store.js";
import { S3Store } from "../../../services/shared/flow/weights/s3-store.js";
import type { WeightStore } from "../../../services/shared/flow/weights/store.js";
import { TestNats } from "../../support/servers/nats.js";
import { TestS3 } from "../../support/servers/s3.js";

const run = "run-a";
const filled = (bytes: number, seed: number) => Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + seed) % 251);
const version = (seed: number) =>
  new Map([
    ["config.json", filled(100, seed)],
    ["model.safetensors", filled(3_000_001, seed)],
  ]);

const same = (a: FileBytes, b: FileBytes) => Buffer.compare(Buffer.concat(piecesOf(a)), Buffer.concat(piecesOf(b))) === 0;

let nats: TestNats;
let streams: Streams;
let directory: string;
let s3: TestS3;
beforeAll(async () => {
  nats = await TestNats.start();
  streams = await nats.connect();
  s3 = await TestS3.start("weights");
});
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "retort-weights-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
  await rm(s3.path("weights", "team"), { recursive: true, force: true });
  const objects = new Objm(streams.js);
  await (await objects.create(`retort_weights_${run}`)).destroy();
});
afterAll(async () => {
  await nats.stop();
  await s3.stop();
});

const stores: [string, () => WeightStore, (version: number, file: string) => Promise<void>][] = [
  [
    "DirectoryStore",
    () => new DirectoryStore(directory),
    (version, file) => writeFile(join(directory, run, String(version), file), filled(100, 9)),
  ],
  [
    "NatsStore",
    () => new NatsStore(streams),
    async (version, file) => {
      const bucket = await new Objm(streams.js).create(`retort_weights_${run}`);
      await bucket.putBlob({ name: `${version}/${file}` }, filled(100, 9));
    },
  ],
  [
    "S3Store",
    () => new S3Store({ url: "s3://weights/team/a", endpoint: s3.endpoint }),
    (version, file) => writeFile(s3.path("weights", join("team/a", run, String(version), file)), filled(100, 9)),
  ],
];

describe.each(stores)("%s", (_, open, damage) => {
  it("tells how much a run takes up, and deletes all of it, and nothing of another run", async () => {
    const store = open();
    expect(await store.bytes(run)).toBe(0);
    await store.deleteAll(run);
    for (const number of [0, 7]) await store.put(run, number, version(number), 1n);
    await store.put(`${run}-2`, 1, version(3), 1n);
    expect(await store.bytes(run)).toBe(2 * 3_000_101);
    await store.deleteAll(run);
    expect([await store.list(run), await store.bytes(run), await store.list(`${run}-2`)]).toEqual([[], 0, [1]]);
    await store.put(run, 8, version(8), 2n);
    expect(await open().list(run)).toEqual([8]);
    await store.deleteAll(`${run}-2`);
  });

  it("gives back the bytes it was given, also to another process", async () => {
    const manifest = await open().put(run, 3, version(1), 1n);
    expect(manifest.files.map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([
      ["config.json", 100n],
      ["model.safetensors", 3_000_001n],
    ]);
    const files = await open().get(run, 3);
    expect([...files.keys()]).toEqual(["config.json", "model.safetensors"]);
    for (const [name, bytes] of version(1)) expect(same(files.get(name)!, bytes)).toBe(true);
    expect([...(await open().get(run, 3, (name) => name === "config.json")).keys()]).toEqual(["config.json"]);
    expect((await open().manifest(run, 3))?.fence).toBe(1n);
  });

  it("takes a file in pieces and gives back one whole", async () => {
    const pieces = [filled(24, 1), filled(2_500_000, 2), new Uint8Array(), filled(1, 3), filled(700_000, 4)];
    const { files } = await open().put(run, 3, new Map([["model.safetensors", pieces]]), 1n);
    const whole = Buffer.concat(pieces);
    expect(files[0]).toMatchObject({ sizeBytes: 3_200_025n, digest: createHash("sha256").update(whole).digest("hex") });
    expect(same((await open().get(run, 3)).get("model.safetensors")!, whole)).toBe(true);
  });

  it("lists versions in rising order, and forgets what is deleted", async () => {
    const store = open();
    for (const n of [10, 2, 0]) await store.put(run, n, version(n), 1n);
    expect(await store.list(run)).toEqual([0, 2, 10]);
    await store.delete(run, 2);
    await store.delete(run, 2);
    expect(await store.list(run)).toEqual([0, 10]);
    await expect(store.get(run, 2)).rejects.toMatchObject({ code: "NotFound", message: expect.stringContaining("version 2") });
    expect(await store.list("run-b")).toEqual([]);
  });

  it("refuses a learner that was replaced, and lets the later one replace what it left", async () => {
    const store = open();
    await store.put(run, 1, version(1), 1n);
    await store.put(run, 1, version(2), 2n);
    await expect(store.put(run, 1, version(3), 1n)).rejects.toMatchObject({ code: "Aborted", retry: "never" });
    expect(same((await store.get(run, 1)).get("config.json")!, filled(100, 2))).toBe(true);
  });

  it("never gives out a file that is not what its manifest says", async () => {
    await open().put(run, 1, version(1), 1n);
    await damage(1, "model.safetensors");
    await expect(open().get(run, 1)).rejects.toMatchObject({ code: "DataLoss", message: expect.stringContaining("model.safetensors") });
  });

  it("has no version while it is being written: the manifest comes last", async () => {
    const store = open();
    const writing = store.put(run, 5, version(1), 1n);
    let before = 0;
    for (let done = false; !done; ) {
      done = await Promise.race([writing.then(() => true), new Promise<false>((next) => setTimeout(next, 1, false))]);
      if (!done && !(await open().manifest(run, 5))) before++;
    }
    expect(before).toBeGreaterThan(0);
    expect((await store.get(run, 5)).size).toBe(2);
  });
});

describe("DirectoryStore", () => {
  it("leaves no temporary files", async () => {
    await new DirectoryStore(directory).put(run, 1, version(1), 1n);
    expect((await readdir(join(directory, run, "1"))).sort()).toEqual(["config.json", "manifest.binpb", "model.safetensors"]);
  });
});

describe("S3Store", () => {
  it("sends a large file in parts, which appear whole or not at all", async () => {
    const store = new S3Store({ url: "s3://weights/team/a", endpoint: s3.endpoint, partBytes: 5 * 1024 * 1024 });
    const pieces = [filled(7_000_001, 1), filled(5_000_000, 2)];
    await store.put(run, 1, new Map([["model.safetensors", pieces]]), 1n);
    expect(same((await store.get(run, 1)).get("model.safetensors")!, pieces)).toBe(true);
    const gone = new S3Store({ url: "s3://nowhere", endpoint: s3.endpoint, partBytes: 5 * 1024 * 1024 });
    await expect(gone.put(run, 1, new Map([["model.safetensors", pieces]]), 1n)).rejects.toMatchObject({ code: "FailedPrecondition" });
  });

  it.each(["weights", "https://weights", "s3://"])("refuses %p as a bucket", (url) => {
    expect(() => new S3Store({ url })).toThrow(/s3:\/\/bucket/);
  });

  it("says what to check when the bucket is not there", async () => {
    const store = new S3Store({ url: "s3://nowhere", endpoint: s3.endpoint });
    await expect(store.put(run, 1, version(1), 1n)).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringMatching(/nowhere.*--weight-url/),
    });
  });
});
