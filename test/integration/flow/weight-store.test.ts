import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Objm } from "@nats-io/obj";
import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { DirectoryStore } from "../../../services/shared/flow/weights/directory-store.js";
import { NatsStore } from "../../../services/shared/flow/weights/nats-store.js";
import { S3Store } from "../../../services/shared/flow/weights/s3-store.js";
import type { WeightStore } from "../../../services/shared/flow/weights/store.js";
import { fetchedBytes, storeBytes } from "../../support/runs/stored-bytes.js";
import { TestNats } from "../../support/servers/nats.js";
import { TestS3 } from "../../support/servers/s3.js";

const run = "run-a";
const filled = (bytes: number, seed: number): Uint8Array => {
  const made = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) made[i] = (i * 31 + seed) % 251;
  return made;
};
const version = (seed: number) =>
  new Map([
    ["config.json", filled(100, seed)],
    ["model.safetensors", filled(3_000_001, seed)],
  ]);

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

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
    "DirectoryStore of one machine",
    () => new DirectoryStore(directory, { oneMachine: true }),
    (version, file) => writeFile(join(directory, run, String(version), file), filled(100, 9)),
  ],
  [
    "NatsStore",
    () => new NatsStore(streams, directory),
    async (version, file) => {
      const bucket = await new Objm(streams.js).create(`retort_weights_${run}`);
      await bucket.putBlob({ name: `${version}/${file}` }, filled(100, 9));
    },
  ],
  [
    "S3Store",
    () => new S3Store({ url: "s3://weights/team/a", endpoint: s3.endpoint, scratch: directory }),
    (version, file) => writeFile(s3.path("weights", join("team/a", run, String(version), file)), filled(100, 9)),
  ],
];

describe.each(stores)("%s", (_, open, damage) => {
  it("tells how much a run takes up, and deletes all of it, and nothing of another run", async () => {
    const store = open();
    expect(await store.bytes(run)).toBe(0);
    await store.deleteAll(run);
    for (const number of [0, 7]) await storeBytes(store, run, number, version(number), 1n);
    await storeBytes(store, `${run}-2`, 1, version(3), 1n);
    expect(await store.bytes(run)).toBe(2 * 3_000_101);
    await store.deleteAll(run);
    expect([await store.list(run), await store.bytes(run), await store.list(`${run}-2`)]).toEqual([[], 0, [1]]);
    await storeBytes(store, run, 8, version(8), 2n);
    expect(await open().list(run)).toEqual([8]);
    await store.deleteAll(`${run}-2`);
  });

  it("gives back the bytes it was given, also to another process", async () => {
    const manifest = await storeBytes(open(), run, 3, version(1), 1n);
    expect(manifest.files.map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([
      ["config.json", 100n],
      ["model.safetensors", 3_000_001n],
    ]);
    const files = await fetchedBytes(open(), run, 3);
    expect([...files.keys()]).toEqual(["config.json", "model.safetensors"]);
    for (const [name, bytes] of version(1)) expect(same(files.get(name)!, bytes)).toBe(true);
    expect([...(await fetchedBytes(open(), run, 3, (name) => name === "config.json")).keys()]).toEqual(["config.json"]);
    expect((await open().manifest(run, 3))?.fence).toBe(1n);
  });

  it("gives back files of folders, empty ones too, and says what each is", async () => {
    const whole = filled(3_200_025, 1);
    const given = new Map([
      ["additional_chat_templates/tools.jinja", filled(10, 3)],
      ["empty.json", new Uint8Array()],
      ["model.safetensors", whole],
    ]);
    const { files } = await storeBytes(open(), run, 3, given, 1n);
    expect(files[2]).toMatchObject({ sizeBytes: 3_200_025n, digest: createHash("sha256").update(whole).digest("hex") });
    const found = await fetchedBytes(open(), run, 3);
    expect([...found.keys()].sort()).toEqual([...given.keys()]);
    for (const [name, bytes] of given) expect(same(found.get(name)!, bytes)).toBe(true);
  });

  it("leaves what was fetched whole when the version is deleted or stored anew", async () => {
    const store = open();
    await storeBytes(store, run, 1, version(1), 1n);
    const held = store.holding(run, "student-0");
    await store.fetch(run, 1, held, (name) => name === "model.safetensors");
    await storeBytes(store, run, 1, version(2), 2n);
    await store.delete(run, 1);
    expect(same(await readFile(join(held, "model.safetensors")), filled(3_000_001, 1))).toBe(true);
  });

  it("survives a version that a power cut has torn: it is found out, and the learner that takes over stores it again or deletes it", async () => {
    const store = open();
    for (const file of ["model.safetensors", "manifest.binpb"])
      for (const end of ["stored", "deleted"]) {
        await storeBytes(store, run, 4, version(1), 1n);
        await damage(4, file);
        await expect(fetchedBytes(store, run, 4)).rejects.toMatchObject({ code: "DataLoss" });
        if (end === "stored") {
          await storeBytes(store, run, 4, version(2), 2n);
          expect(same((await fetchedBytes(store, run, 4)).get("model.safetensors")!, filled(3_000_001, 2))).toBe(true);
        }
        await store.delete(run, 4);
        expect([await store.list(run), await store.manifest(run, 4)]).toEqual([[], undefined]);
      }
  });

  it("has forgotten what earlier learners had not finished when it gives out a directory", async () => {
    const store = open();
    const first = await store.stage(run, 1n);
    await writeFile(join(first, "model.safetensors"), "half");
    const second = await store.stage(run, 2n);
    expect([await readdir(second), await readdir(first).catch(() => "gone")]).toEqual([[], "gone"]);
  });

  it("lists versions in rising order, and forgets what is deleted", async () => {
    const store = open();
    for (const n of [10, 2, 0]) await storeBytes(store, run, n, version(n), 1n);
    expect(await store.list(run)).toEqual([0, 2, 10]);
    await store.delete(run, 2);
    await store.delete(run, 2);
    expect(await store.list(run)).toEqual([0, 10]);
    await expect(fetchedBytes(store, run, 2)).rejects.toMatchObject({ code: "NotFound", message: expect.stringContaining("version 2") });
    expect(await store.list("run-b")).toEqual([]);
  });

  it("refuses a learner that was replaced, and lets the later one replace what it left", async () => {
    const store = open();
    await storeBytes(store, run, 1, version(1), 1n);
    await storeBytes(store, run, 1, version(2), 2n);
    await expect(storeBytes(store, run, 1, version(3), 1n)).rejects.toMatchObject({ code: "Aborted", retry: "never" });
    expect(same((await fetchedBytes(store, run, 1)).get("config.json")!, filled(100, 2))).toBe(true);
  });

  it("never gives out a file that is not what its manifest says", async () => {
    await storeBytes(open(), run, 1, version(1), 1n);
    await damage(1, "model.safetensors");
    await expect(fetchedBytes(open(), run, 1)).rejects.toMatchObject({
      code: "DataLoss",
      message: expect.stringContaining("model.safetensors"),
    });
  });

  it("tells of a file that lies there before it has been read whether it is as long as it should be, and then what it holds", async () => {
    const store = open();
    await storeBytes(store, run, 1, version(1), 1n);
    const held = store.holding(run, "student-0");
    const { manifest, checked } = await store.place(run, 1, held);
    expect(manifest.files.length).toBe(2);
    expect(same(await readFile(join(held, "model.safetensors")), filled(3_000_001, 1))).toBe(true);
    await expect(checked).resolves.toBeUndefined();
    await damage(1, "model.safetensors");
    await expect(store.place(run, 1, store.holding(run, "student-1"))).rejects.toMatchObject({ code: "DataLoss" });
    const other = new Map([...version(1), ["config.json", filled(100, 7)]]);
    await storeBytes(store, run, 2, other, 1n);
    await damage(2, "config.json");
    const placed = store.place(run, 2, store.holding(run, "student-2"), (name) => name === "config.json");
    await expect(placed.then(({ checked }) => checked)).rejects.toMatchObject({
      code: "DataLoss",
      message: expect.stringContaining("config.json"),
    });
  });

  it("has no version while it is being written: the manifest comes last", async () => {
    const store = open();
    const writing = storeBytes(store, run, 5, version(1), 1n);
    let before = 0;
    for (let done = false; !done; ) {
      done = await Promise.race([writing.then(() => true), new Promise<false>((next) => setTimeout(next, 1, false))]);
      if (!done && !(await open().manifest(run, 5))) before++;
    }
    expect(before).toBeGreaterThan(0);
    expect((await fetchedBytes(store, run, 5)).size).toBe(2);
  });
});

describe("DirectoryStore", () => {
  it("leaves no temporary files", async () => {
    await storeBytes(new DirectoryStore(directory), run, 1, version(1), 1n);
    expect((await readdir(join(directory, run, "1"))).sort()).toEqual(["config.json", "manifest.binpb", "model.safetensors"]);
  });
});

describe("S3Store", () => {
  it("sends a large file in parts, which appear whole or not at all", async () => {
    const store = new S3Store({ url: "s3://weights/team/a", endpoint: s3.endpoint, scratch: directory, partBytes: 5 * 1024 * 1024 });
    const pieces = filled(12_000_001, 1);
    await storeBytes(store, run, 1, new Map([["model.safetensors", pieces]]), 1n);
    expect(same((await fetchedBytes(store, run, 1)).get("model.safetensors")!, pieces)).toBe(true);
    const gone = new S3Store({ url: "s3://nowhere", endpoint: s3.endpoint, scratch: directory, partBytes: 5 * 1024 * 1024 });
    await expect(storeBytes(gone, run, 1, new Map([["model.safetensors", pieces]]), 1n)).rejects.toMatchObject({
      code: "FailedPrecondition",
    });
  });

  it.each(["weights", "https://weights", "s3://"])("refuses %p as a bucket", (url) => {
    expect(() => new S3Store({ url, scratch: directory })).toThrow(/s3:\/\/bucket/);
  });

  it("says what to check when the bucket is not there", async () => {
    const store = new S3Store({ url: "s3://nowhere", endpoint: s3.endpoint, scratch: directory });
    await expect(storeBytes(store, run, 1, version(1), 1n)).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringMatching(/nowhere.*--weight-url/),
    });
  });
});
