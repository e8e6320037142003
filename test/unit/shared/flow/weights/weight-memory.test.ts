import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, readlink, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DirectoryStore } from "../../../../../services/shared/flow/weights/directory-store.js";
import { leaveWeightMemory } from "../../../../../services/shared/flow/weights/leave-memory.js";
import { isMemory, WeightMemory, weightMemoryOf } from "../../../../../services/shared/flow/weights/weight-memory.js";
import { fetchedBytes, storeBytes } from "../../../../support/runs/stored-bytes.js";

/** Large enough to be kept. */
const weights = (seed: number) => new Map([["model.safetensors", Buffer.alloc(2 ** 20 + 5, seed)]]);

describe("WeightMemory", () => {
  let root: string;
  let place: string;
  let store: DirectoryStore;
  beforeEach(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), "retort-root-")));
    place = await realpath(await mkdtemp(join(tmpdir(), "retort-place-")));
    store = new DirectoryStore(root, new WeightMemory(place));
  });
  afterEach(() => Promise.all([root, place].map((path) => rm(path, { recursive: true }))));

  it("holds the versions of a run, of which nothing is left when they are deleted", async () => {
    await storeBytes(store, "run", 0, weights(1), 1n);
    expect([await readlink(join(root, "run")), await readdir(place)]).toEqual([join(place, "run"), ["run"]]);
    // A reader of another process, which has no such setting, finds them too.
    expect((await fetchedBytes(new DirectoryStore(root), "run", 0)).get("model.safetensors")).toEqual(weights(1).get("model.safetensors"));
    await store.deleteAll("run");
    expect([await readdir(root), await readdir(place)]).toEqual([[], []]);
  });

  it("leaves a run on the disk whose versions don't fit, that has no size, or that is there already", async () => {
    await store.stage("large", 1n, Number.MAX_SAFE_INTEGER);
    await store.stage("unknown", 1n);
    await new DirectoryStore(root).stage("old", 1n);
    await store.stage("old", 2n, 100);
    expect([(await readdir(root)).sort(), await readdir(place)]).toEqual([["large", "old", "unknown"], []]);
    for (const name of ["large", "old", "unknown"]) expect((await stat(join(root, name))).isDirectory()).toBe(true);
  });

  it("is made anew when the machine has started again, with a place in memory and without", async () => {
    await storeBytes(store, "run", 3, weights(1), 1n);
    await rm(join(place, "run"), { recursive: true });
    expect(await store.list("run")).toEqual([]);
    await storeBytes(store, "run", 3, weights(2), 2n);
    expect([await store.list("run"), await readlink(join(root, "run"))]).toEqual([[3], join(place, "run")]);
    await rm(join(place, "run"), { recursive: true });
    const plain = new DirectoryStore(root);
    await storeBytes(plain, "run", 4, weights(3), 3n);
    expect([await plain.list("run"), await readdir(place)]).toEqual([[4], []]);
  });

  it("moves to the disk what is to stay, with its digests", async () => {
    for (const version of [0, 5]) await storeBytes(store, "run", version, weights(version), 1n);
    const path = join(await store.stage("run", 1n), "model.safetensors");
    await writeFile(path, weights(6).get("model.safetensors")!);
    await store.put("run", 6, [{ name: "model.safetensors", path, sizeBytes: 2 ** 20 + 5, digest: "" }], 1n);
    await store.delete("run", 5);
    await store.settle("run");
    expect([await readdir(place), (await readdir(join(root, "run"))).sort()]).toEqual([[], ["0", "6"]]);
    expect((await fetchedBytes(new DirectoryStore(root), "run", 6)).get("model.safetensors")).toEqual(weights(6).get("model.safetensors"));
    await store.settle("run");
    expect(await store.list("run")).toEqual([0, 6]);
    await writeFile(join(root, "run", "6", "model.safetensors"), weights(7).get("model.safetensors")!);
    await expect(fetchedBytes(store, "run", 6)).rejects.toMatchObject({ code: "DataLoss" });
  });

  it("gives a new version the room of one that is gone, unless a reader still has it", async () => {
    const inode = async (path: string) => (await stat(path)).ino;
    await storeBytes(store, "run", 1, weights(1), 1n);
    await storeBytes(store, "run", 2, weights(2), 1n);
    const held = store.holding("run", "student");
    await store.fetch("run", 1, held);
    const first = await inode(join(held, "model.safetensors"));
    await store.delete("run", 1);
    expect(await readdir(await store.stage("run", 1n, 5))).toEqual([]);
    await rm(held, { recursive: true });
    const staged = await store.stage("run", 1n, 5);
    expect(await readdir(staged)).toEqual(["model.safetensors.spare"]);
    expect(await inode(join(staged, "model.safetensors.spare"))).toBe(first);
    // What isn't written over goes with the next one.
    expect(await readdir(await store.stage("run", 1n, 5))).toEqual([]);
    expect((await fetchedBytes(store, "run", 2)).get("model.safetensors")).toEqual(weights(2).get("model.safetensors"));
  });
});

describe("a version that is stored without digests", () => {
  const bytes = Buffer.alloc(1000, 7);
  const digest = createHash("sha256").update(bytes).digest("hex");
  let root: string;
  let place: string;
  let store: DirectoryStore;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-root-"));
    place = await mkdtemp(join(tmpdir(), "retort-place-"));
    store = new DirectoryStore(root, new WeightMemory(place));
    await storeUnhashed(1n);
  });
  afterEach(() => Promise.all([root, place].map((path) => rm(path, { recursive: true }))));

  async function storeUnhashed(fence: bigint) {
    const path = join(await store.stage("run", fence, bytes.length), "model.safetensors");
    await writeFile(path, bytes);
    await store.put("run", 3, [{ name: "model.safetensors", path, sizeBytes: bytes.length, digest: "" }], fence);
  }

  it("has them for who asks, and is read as any other", async () => {
    expect((await store.manifest("run", 3))?.files[0]?.digest).toBe(digest);
    expect((await store.fetch("run", 3, join(root, "held"))).version).toBe(3);
    expect(await readFile(join(root, "held", "model.safetensors"))).toEqual(bytes);
  });

  it("is no version where it isn't in memory", async () => {
    const plain = new DirectoryStore(root);
    await expect(plain.manifest("run", 3)).rejects.toMatchObject({ code: "DataLoss" });
    await expect(plain.fetch("run", 3, join(root, "held"))).rejects.toMatchObject({ code: "DataLoss" });
  });

  it("is another learner's once that has stored it, damaged if a file is lost, and gone when it is deleted", async () => {
    await storeUnhashed(2n);
    expect(await store.manifest("run", 3)).toMatchObject({ fence: 2n, files: [{ digest }] });
    await rm(join(root, "run", "3", "model.safetensors"));
    await expect(store.manifest("run", 3)).rejects.toMatchObject({ code: "DataLoss" });
    await store.delete("run", 3);
    expect(await store.manifest("run", 3)).toBeUndefined();
  });
});

describe("weightMemoryOf()", () => {
  it("is a directory of this user's alone, per data directory, and goes with that", async () => {
    const data = await mkdtemp(join(tmpdir(), "retort-data-"));
    const place = await weightMemoryOf(data);
    if (!place) return console.log("skipped: there is no file system in memory at /dev/shm");
    expect([await isMemory(place), await weightMemoryOf(data)]).toEqual([true, place]);
    expect([(await stat(dirname(place))).mode & 0o777, await readFile(join(place, "data-directory"), "utf8")]).toEqual([0o700, data]);
    const store = new DirectoryStore(join(data, "weights"), new WeightMemory(place));
    await storeBytes(store, "run", 0, weights(1), 1n);
    // Its digest isn't computed again by who has the very file.
    await writeFile(join(data, "weights", "run", "0", "model.safetensors"), Buffer.alloc(2 ** 20 + 5, 2));
    await expect(fetchedBytes(store, "run", 0)).resolves.toBeDefined();
    await rm(data, { recursive: true });
    const other = await mkdtemp(join(tmpdir(), "retort-data-"));
    const second = await weightMemoryOf(other);
    expect((await readdir(dirname(place))).includes(place.split("/").at(-1)!)).toBe(false);
    await leaveWeightMemory(other);
    expect(await isMemory(second!)).toBe(false);
    await rm(other, { recursive: true });
  });

  it("is left when nothing uses it: a run that has a checkpoint goes on from there, another's versions are moved to the disk", async () => {
    const data = await realpath(await mkdtemp(join(tmpdir(), "retort-data-")));
    const place = await weightMemoryOf(data);
    if (!place) return console.log("skipped: there is no file system in memory at /dev/shm");
    const root = join(data, "weights");
    const store = new DirectoryStore(root, new WeightMemory(place));
    for (const run of ["saved", "half", "plain"]) await storeBytes(store, run, 0, weights(1), 1n);
    const checkpointOf = (run: string) => join(data, "runs", run, "checkpoints", "step-00000003");
    for (const run of ["saved", "half"]) await mkdir(checkpointOf(run), { recursive: true });
    await writeFile(join(checkpointOf("saved"), "state.json"), "{}");
    await leaveWeightMemory(data);
    expect(await isMemory(place)).toBe(false);
    expect(await Promise.all(["saved", "half", "plain"].map((run) => store.list(run)))).toEqual([[], [0], [0]]);
    expect(await isMemory(join(root, "plain"))).toBe(false);
    // The next learner has it in memory again.
    await weightMemoryOf(data);
    await storeBytes(store, "saved", 3, weights(2), 2n);
    expect([await store.list("saved"), await isMemory(join(root, "saved"))]).toEqual([[3], true]);
    await leaveWeightMemory(data);
    await rm(data, { recursive: true });
  });
});
