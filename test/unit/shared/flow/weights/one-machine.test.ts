import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bootId } from "../../../../../services/shared/flow/weights/boot.js";
import { DirectoryStore } from "../../../../../services/shared/flow/weights/directory-store.js";
import { fetchedBytes, storeBytes } from "../../../../support/runs/stored-bytes.js";

const file = "model.safetensors";
/** Large enough to be kept. */
const weights = (seed: number) => new Map([[file, Buffer.alloc(2 ** 20 + 5, seed)]]);
const bytesOf = (seed: number) => weights(seed).get(file)!;
const digestOf = (seed: number) => createHash("sha256").update(bytesOf(seed)).digest("hex");

/** Another system doesn't tell its starts apart. */
const isLinux = process.platform === "linux";
if (!isLinux) console.log("skipped: a directory of one machine; run the tests on Linux");
const described = isLinux ? describe : describe.skip;

described("a directory of one machine", () => {
  let root: string;
  let store: DirectoryStore;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-root-"));
    store = new DirectoryStore(root, { oneMachine: true });
  });
  afterEach(() => rm(root, { recursive: true }));

  const pathOf = (version: number) => join(root, "run", String(version), file);

  async function putUnhashed(version: number, seed: number, fence = 1n): Promise<void> {
    const path = join(await store.stage("run", fence), file);
    await writeFile(path, bytesOf(seed));
    await store.put("run", version, [{ name: file, path, sizeBytes: bytesOf(seed).length, digest: "" }], fence);
  }

  /** As if the machine had been started since. */
  const startAgain = () => writeFile(join(root, "run", ".boot"), "another");

  it("needs no digests once a learner has staged, where the system tells its starts apart", async () => {
    expect([await store.needsDigests("run"), await new DirectoryStore(root).needsDigests("run")]).toEqual([true, true]);
    await store.stage("run", 1n);
    expect([await store.needsDigests("run"), await bootId()]).toEqual([false, await readFile(join(root, "run", ".boot"), "utf8")]);
    expect(await new DirectoryStore(root).needsDigests("run")).toBe(true);
  });

  it("has the digests of a version for who asks, and reads it as any other", async () => {
    await putUnhashed(3, 7);
    expect((await store.manifest("run", 3))?.files).toMatchObject([{ digest: digestOf(7) }]);
    expect((await fetchedBytes(store, "run", 3)).get(file)).toEqual(bytesOf(7));
  });

  it("takes a version without digests for none when the machine has started again, until a learner stores it again", async () => {
    await putUnhashed(3, 7);
    await storeBytes(store, "run", 2, weights(2), 1n);
    await startAgain();
    await expect(store.manifest("run", 3)).rejects.toMatchObject({ code: "DataLoss" });
    await expect(fetchedBytes(store, "run", 3)).rejects.toMatchObject({ code: "DataLoss" });
    await expect(new DirectoryStore(root).manifest("run", 3)).rejects.toMatchObject({ code: "DataLoss" });
    await putUnhashed(4, 8, 2n);
    // What has digests stays.
    expect(await store.list("run")).toEqual([2, 4]);
    expect((await fetchedBytes(store, "run", 4)).get(file)).toEqual(bytesOf(8));
  });

  it("clears away a manifest that was torn when the machine went down", async () => {
    await putUnhashed(3, 7);
    await startAgain();
    await writeFile(join(root, "run", "3", "manifest.binpb"), Buffer.from([255, 255]));
    await putUnhashed(4, 8, 2n);
    expect(await store.list("run")).toEqual([4]);
  });

  it("compares digests again behind a start of the machine", async () => {
    await storeBytes(store, "run", 2, weights(2), 1n);
    await startAgain();
    await writeFile(pathOf(2), bytesOf(3));
    await expect(fetchedBytes(store, "run", 2)).rejects.toMatchObject({ code: "DataLoss" });
  });

  it("is another learner's once that has stored it, damaged if a file is lost, and gone when it is deleted", async () => {
    await putUnhashed(3, 7);
    await putUnhashed(3, 8, 2n);
    expect((await store.manifest("run", 3))?.files).toMatchObject([{ digest: digestOf(8) }]);
    await rm(pathOf(3));
    await expect(store.manifest("run", 3)).rejects.toMatchObject({ code: "DataLoss" });
    await store.delete("run", 3);
    expect(await store.manifest("run", 3)).toBeUndefined();
  });

  it("keeps what is left of a run that is over with its digests, and nothing else", async () => {
    for (const version of [5, 6]) await putUnhashed(version, version);
    await store.delete("run", 5);
    expect(await readdir(join(root, "run", ".spare"))).toEqual([file]);
    await store.settle("run");
    expect((await readdir(join(root, "run"))).filter((name) => !name.startsWith(".new-"))).toEqual(["6"]);
    expect((await fetchedBytes(new DirectoryStore(root), "run", 6)).get(file)).toEqual(bytesOf(6));
    await store.settle("run");
    await writeFile(pathOf(6), bytesOf(7));
    await expect(fetchedBytes(store, "run", 6)).rejects.toMatchObject({ code: "DataLoss" });
    await store.deleteAll("run");
    expect(await readdir(root)).toEqual([]);
  });

  it("gives a new version the room of one that is gone, unless a reader still has it", async () => {
    const inode = async (path: string) => (await stat(path)).ino;
    await storeBytes(store, "run", 1, weights(1), 1n);
    await storeBytes(store, "run", 2, weights(2), 1n);
    const held = store.holding("run", "student");
    await store.fetch("run", 1, held);
    const first = await inode(join(held, file));
    await store.delete("run", 1);
    expect(await readdir(await store.stage("run", 1n))).toEqual([]);
    await rm(held, { recursive: true });
    const staged = await store.stage("run", 1n);
    expect(await readdir(staged)).toEqual([`${file}.spare`]);
    expect(await inode(join(staged, `${file}.spare`))).toBe(first);
    // What isn't written over goes with the next one.
    expect(await readdir(await store.stage("run", 1n))).toEqual([]);
    expect((await fetchedBytes(store, "run", 2)).get(file)).toEqual(bytesOf(2));
  });

  it("keeps nothing of what several machines share", async () => {
    const shared = new DirectoryStore(root);
    await storeBytes(shared, "run", 1, weights(1), 1n);
    await shared.delete("run", 1);
    expect(await readdir(await shared.stage("run", 1n))).toEqual([]);
  });
});
