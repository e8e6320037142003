import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UploadStore } from "../../../../services/controller/uploads/upload-store.js";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const config = Buffer.from("{}");
const weights = Buffer.from(Uint8Array.from({ length: 5000 }, (_, i) => (i * 7919) % 251));
const listed = (path: string, bytes: Uint8Array) => ({ path, size: bytes.length, digest: sha256(bytes) });
const files = [listed("model.safetensors", weights), listed("config.json", config)];

describe("UploadStore", () => {
  let root: string;
  let store: UploadStore;
  const whole = async (bytes: Uint8Array, from = 0) => store.chunk(sha256(bytes), from, bytes.subarray(from));
  beforeEach(async () => {
    root = join(await mkdtemp(join(tmpdir(), "retort-uploads-")), "uploads");
    store = new UploadStore(root, 1e6);
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it("asks for what it lacks, and has what was sent under its paths", async () => {
    const { reference, missing } = await store.prepare(files);
    expect(reference).toMatch(/^upload:\/\/[0-9a-f]{64}$/);
    expect(missing).toEqual([
      { digest: sha256(config), offset: 0 },
      { digest: sha256(weights), offset: 0 },
    ]);
    await expect(store.find(reference)).rejects.toMatchObject({ code: "NotFound" });
    expect(await whole(config)).toBe(2);
    expect(await store.chunk(sha256(weights), 0, weights.subarray(0, 3000))).toBe(3000);
    // A piece that doesn't follow on what is there is not taken.
    expect(await store.chunk(sha256(weights), 4000, weights.subarray(4000))).toBe(3000);
    expect(await whole(weights, 3000)).toBe(5000);
    expect(await store.prepare([...files].reverse())).toEqual({ reference, missing: [] });
    const directory = await store.find(reference);
    expect((await readdir(directory)).sort()).toEqual(["config.json", "model.safetensors"]);
    expect(weights.equals(await readFile(join(directory, "model.safetensors")))).toBe(true);
    expect(await store.find(`${reference}/config.json`)).toBe(join(directory, "config.json"));
    await expect(store.find(`${reference}/other`)).rejects.toMatchObject({
      code: "NotFound",
      message: expect.stringMatching(/has no other; it has config\.json, model\.safetensors$/),
    });
    expect(await readdir(join(root, "parts"))).toEqual([]);
  });

  it("goes on after a restart where it was, and knows what was whole and not compared", async () => {
    await store.prepare(files);
    await store.chunk(sha256(weights), 0, weights.subarray(0, 3000));
    store = new UploadStore(root, 1e6);
    await expect(whole(weights, 3000)).rejects.toMatchObject({
      code: "NotFound",
      message: expect.stringMatching(/call PrepareUpload first$/),
    });
    expect((await store.prepare(files)).missing).toContainEqual({ digest: sha256(weights), offset: 3000 });
    await whole(weights, 3000);
    await writeFile(join(root, "parts", sha256(config)), config);
    expect((await store.prepare(files)).missing).toEqual([{ digest: sha256(config), offset: 2 }]);
    expect(await store.chunk(sha256(config), 2, new Uint8Array())).toBe(2);
    expect((await store.prepare(files)).missing).toEqual([]);
  });

  it("keeps no bytes that aren't those of the digest, and no more of them than was said", async () => {
    await store.prepare(files);
    const altered = Buffer.from(weights).fill(1, 7, 8);
    await expect(store.chunk(sha256(weights), 0, altered)).rejects.toMatchObject({ code: "DataLoss" });
    expect((await store.prepare(files)).missing).toContainEqual({ digest: sha256(weights), offset: 0 });
    await expect(store.chunk(sha256(config), 0, Buffer.from("{}}"))).rejects.toMatchObject({ code: "InvalidArgument" });
    // What lies there of somebody else's is too long for it.
    await writeFile(join(root, "parts", sha256(config)), "{}}}");
    expect((await store.prepare(files)).missing).toContainEqual({ digest: sha256(config), offset: 0 });
    const again = new UploadStore(root, 1e6);
    await expect(again.chunk("0".repeat(64), 0, config)).rejects.toMatchObject({ code: "NotFound" });
  });

  it("has the same bytes once, and asks for them once", async () => {
    await store.prepare([listed("a.jsonl", weights), listed("b/a.jsonl", weights)]);
    expect(await readdir(join(root, "blobs"))).toEqual([]);
    await whole(weights);
    const { reference, missing } = await store.prepare([listed("a.jsonl", weights), listed("b/a.jsonl", weights)]);
    expect(missing).toEqual([]);
    const other = await store.prepare([listed("other.jsonl", weights)]);
    expect(other.missing).toEqual([]);
    const [one, two] = await Promise.all([
      stat(await store.find(`${reference}/b/a.jsonl`)),
      stat(await store.find(`${other.reference}/other.jsonl`)),
    ]);
    expect(one.ino).toBe(two.ino);
    expect((await store.list()).map(({ digest }) => `upload://${digest}`).sort()).toEqual([reference, other.reference].sort());
    expect(await store.usage()).toEqual({ bytes: 5000, maxBytes: 1e6 });
    // What another upload has stays.
    expect(await store.remove(reference)).toBe(0);
    expect(weights.equals(await readFile(await store.find(`${other.reference}/other.jsonl`)))).toBe(true);
    expect(await store.remove(other.reference)).toBe(5000);
    expect(await readdir(join(root, "blobs"))).toEqual([]);
    await expect(store.remove(other.reference)).rejects.toMatchObject({ code: "NotFound" });
  });

  it("has an empty file, too", async () => {
    const empty = [listed("empty.jsonl", Buffer.alloc(0))];
    expect((await store.prepare(empty)).missing).toEqual([{ digest: sha256(Buffer.alloc(0)), offset: 0 }]);
    expect(await store.chunk(sha256(Buffer.alloc(0)), 0, new Uint8Array())).toBe(0);
    const { reference, missing } = await store.prepare(empty);
    expect(missing).toEqual([]);
    expect((await stat(await store.find(`${reference}/empty.jsonl`))).size).toBe(0);
  });

  it.each([
    ["../escaped", /isn't a path below a directory/],
    ["/etc/passwd", /isn't a path below a directory/],
    ["a/../../b", /isn't a path below a directory/],
    ["a//b", /isn't a path below a directory/],
    ["./a", /isn't a path below a directory/],
    ["a\\b", /isn't a path below a directory/],
    ["a\0b", /isn't a path below a directory/],
    ["x".repeat(256), /isn't a path below a directory/],
    [Array(18).fill("d").join("/"), /isn't a path below a directory/],
    ["config.json", /is there twice/],
    ["config.json/x", /"config\.json" is a file and a folder/],
  ])("refuses the path %j", async (path, message) => {
    await mkdir(root, { recursive: true });
    await expect(store.prepare([...files, listed(path, config)])).rejects.toMatchObject({
      code: "InvalidArgument",
      message: expect.stringMatching(message),
    });
    expect(await readdir(root)).toEqual([]);
  });

  it.each([
    "upload://",
    "upload://abc",
    `upload://${"0".repeat(64)}/../../x`,
    `upload://${"0".repeat(64)}/a//b`,
    `upload://${"A".repeat(64)}`,
  ])("finds nothing for %s", (reference) =>
    expect(store.find(reference)).rejects.toMatchObject({ code: "InvalidArgument", message: expect.stringMatching(/names no upload/) }),
  );

  it("takes no more than uploads may take, those that are coming among them", async () => {
    store = new UploadStore(root, 9000);
    await store.prepare(files);
    await expect(store.prepare([listed("more", Buffer.alloc(5000))])).rejects.toMatchObject({
      code: "ResourceExhausted",
      retry: "never",
      message: expect.stringMatching(
        /^the upload needs 10\.0 kB, and of the 9\.0 kB that uploads may take \(--max-upload-bytes\) 9\.0 kB are left/,
      ),
    });
    await expect(new UploadStore(root, 0).prepare(files)).rejects.toMatchObject({ code: "ResourceExhausted" });
    await expect(new UploadStore(root, 2 ** 60).prepare([{ ...files[0]!, size: 2 ** 50 }])).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringMatching(/uploads has .* free, and the upload needs .*; make room there, or remove uploads/),
    });
  });
});
