import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileCache } from "../../../services/shared/base/file-cache.js";

const keyOf = (name: string): string => createHash("sha256").update(name).digest("hex");
const value = (fill: number, size = 100): Uint8Array => new Uint8Array(size).fill(fill);
const fileOf = (root: string, name: string): string => join(root, keyOf(name).slice(0, 2), keyOf(name).slice(2));

describe("FileCache", () => {
  let root: string;
  let nowMs: number;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-cache-"));
    nowMs = Date.now();
  });
  afterEach(() => rm(root, { recursive: true }));
  const open = (maxBytes = 10_000) => FileCache.open(root, { maxBytes, now: () => nowMs });
  /** Makes an entry look as if it had last been used so many seconds ago. */
  const age = (name: string, seconds: number) => utimes(fileOf(root, name), nowMs / 1000 - seconds, nowMs / 1000 - seconds);
  const kinds = async (cache: FileCache, names: readonly string[]) =>
    Promise.all(names.map(async (name) => (await cache.get(keyOf(name))).kind));

  it("gives back what was stored, to itself and to others", async () => {
    const cache = await open();
    expect(await cache.get(keyOf("a"))).toEqual({ kind: "miss" });
    expect(await cache.put(keyOf("a"), value(1))).toBe(true);
    for (const reader of [cache, await open()]) {
      const found = await reader.get(keyOf("a"));
      expect(found.kind === "hit" && Buffer.compare(found.bytes, value(1))).toBe(0);
    }
    expect(cache.bytes).toBe((await stat(fileOf(root, "a"))).size);
  });

  it.each<[string, (bytes: Buffer) => Buffer]>([
    ["altered", (bytes) => Buffer.concat([bytes.subarray(0, 50), Buffer.of(bytes[50]! ^ 1), bytes.subarray(51)])],
    ["cut off", (bytes) => bytes.subarray(0, 60)],
    ["empty", () => Buffer.alloc(0)],
  ])("finds out an entry that is %s, and forgets it", async (_, damage) => {
    const cache = await open();
    await cache.put(keyOf("a"), value(1));
    await writeFile(fileOf(root, "a"), damage(await readFile(fileOf(root, "a"))));
    expect(await cache.get(keyOf("a"))).toEqual({ kind: "corrupt" });
    expect(await cache.get(keyOf("a"))).toEqual({ kind: "miss" });
    expect(await cache.put(keyOf("a"), value(2))).toBe(true);
    expect((await cache.get(keyOf("a"))).kind).toBe("hit");
  });

  it("makes room with what was unused for longest, and keeps what was used since it started", async () => {
    const first = await open();
    for (const name of ["old", "older", "used"]) await first.put(keyOf(name), value(1));
    await Promise.all([age("old", 100), age("older", 200), age("used", 300)]);
    const cache = await open(400);
    expect((await cache.get(keyOf("used"))).kind).toBe("hit");
    nowMs += 60_000;
    expect(await cache.put(keyOf("new"), value(2))).toBe(true);
    expect(await kinds(cache, ["older", "used", "new"])).toEqual(["miss", "hit", "hit"]);
    expect(cache.bytes).toBeLessThanOrEqual(400);
  });

  it("refuses an entry rather than lose one that is in use: what fits is found again in each pass", async () => {
    const cache = await open(400);
    const names = Array.from({ length: 10 }, (_, i) => `row ${i}`);
    for (let pass = 0; pass < 3; pass++) {
      const found = await kinds(cache, names);
      expect(found.filter((kind) => kind === "hit")).toHaveLength(pass === 0 ? 0 : 3);
      for (const [i, name] of names.entries()) if (found[i] === "miss") await cache.put(keyOf(name), value(i));
      nowMs += 60_000;
    }
    expect(cache.bytes).toBeLessThanOrEqual(400);
  });

  it("holds no more than its limit when it is opened with a smaller one", async () => {
    const first = await open();
    for (let i = 0; i < 20; i++) {
      await first.put(keyOf(`row ${i}`), value(i));
      await age(`row ${i}`, 100 - i);
    }
    const cache = await open(1000);
    expect(cache.bytes).toBeLessThanOrEqual(1000);
    expect(await kinds(cache, ["row 0", "row 19"])).toEqual(["miss", "hit"]);
  });

  it("may be written by several at once", async () => {
    const caches = await Promise.all([open(), open(), open()]);
    await Promise.all(caches.flatMap((cache) => Array.from({ length: 10 }, (_, i) => cache.put(keyOf(`row ${i}`), value(i)))));
    for (let i = 0; i < 10; i++) {
      const found = await caches[0]!.get(keyOf(`row ${i}`));
      expect(found.kind === "hit" && Buffer.compare(found.bytes, value(i))).toBe(0);
    }
    const files = (await readdir(root, { recursive: true })).filter((name) => name.endsWith(".tmp"));
    expect(files).toEqual([]);
  });

  it("clears away what a lost process left half-written", async () => {
    const first = await open();
    await first.put(keyOf("a"), value(1));
    const left = `${fileOf(root, "a")}.1.x.tmp`;
    await writeFile(left, "half");
    await open();
    expect(await readFile(left, "utf8")).toBe("half");
    nowMs += 2 * 3_600_000;
    await open();
    await expect(readFile(left)).rejects.toThrow(/ENOENT/);
  });
});
