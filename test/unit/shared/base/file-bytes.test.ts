import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chunksOf, updateHash } from "../../../../services/shared/base/file-bytes.js";
import { hashFile } from "../../../../services/shared/base/hash-file.js";
import { spareOf, writeAtomically } from "../../../../services/shared/base/write-atomically.js";

const whole = Uint8Array.from({ length: 23 }, (_, i) => i);
/** The same bytes in every way to cut them in three, empty pieces included. */
const cuts = Array.from({ length: 24 }, (_, a) =>
  Array.from({ length: 24 - a }, (_, b) => [whole.subarray(0, a), whole.subarray(a, a + b), whole.subarray(a + b)]),
).flat();

describe("updateHash() and writeAtomically()", () => {
  it("see pieces as the whole", async () => {
    const expected = createHash("sha256").update(whole).digest("hex");
    for (const pieces of cuts) expect(updateHash(createHash("sha256"), pieces).digest("hex")).toBe(expected);
    expect([...chunksOf(cuts[50]!, 4)].every(({ length }) => length > 0 && length <= 4)).toBe(true);
    const directory = await mkdtemp(join(tmpdir(), "retort-write-"));
    await writeAtomically(join(directory, "a"), cuts[100]!);
    await writeAtomically(join(directory, "b"), whole);
    for (const name of ["a", "b"]) expect(await readFile(join(directory, name))).toEqual(Buffer.from(whole));
    await rm(directory, { recursive: true });
  });

  it("write over a spare file, in the room that it has, shorter and longer ones", async () => {
    const directory = await mkdtemp(join(tmpdir(), "retort-write-"));
    const path = join(directory, "weights");
    for (const length of [whole.length - 9, whole.length, whole.length + 9]) {
      await writeFile(spareOf(path), Buffer.alloc(length, 255));
      const { ino } = await stat(spareOf(path));
      await writeAtomically(path, whole, { overSpare: true });
      expect([await readFile(path), (await stat(path)).ino, await readdir(directory)]).toEqual([Buffer.from(whole), ino, ["weights"]]);
    }
    await writeAtomically(path, whole.subarray(1), { overSpare: true });
    expect(await readFile(path)).toEqual(Buffer.from(whole.subarray(1)));
    await rm(directory, { recursive: true });
  });

  it("hash what they write, and say how much it is: many small parts, large ones, and parts that are waited for", async () => {
    const directory = await mkdtemp(join(tmpdir(), "retort-write-"));
    const parts = Array.from({ length: 1500 }, (_, i) => Buffer.alloc(i % 7, i));
    parts.push(Buffer.alloc(20_000_001, 5), Buffer.alloc(3, 6));
    const waited = (async function* () {
      const reused = Buffer.alloc(20_000_001);
      for (const part of parts) {
        part.copy(reused);
        yield reused.subarray(0, part.length);
      }
    })();
    const expected = Buffer.concat(parts);
    for (const bytes of [parts, waited]) {
      const hash = createHash("sha256");
      expect(await writeAtomically(join(directory, "a"), bytes, { hash, sync: false })).toBe(expected.length);
      expect((await readFile(join(directory, "a"))).equals(expected)).toBe(true);
      expect(hash.digest("hex")).toBe(createHash("sha256").update(expected).digest("hex"));
      expect(await hashFile(join(directory, "a"))).toBe(createHash("sha256").update(expected).digest("hex"));
    }
    expect(await readdir(directory)).toEqual(["a"]);
    await rm(directory, { recursive: true });
  });

  it("leave the old file and nothing else when the bytes fail to come", async () => {
    const directory = await mkdtemp(join(tmpdir(), "retort-write-"));
    await writeAtomically(join(directory, "a"), whole);
    const broken = (function* () {
      yield whole;
      throw new Error("out of bytes");
    })();
    await expect(writeAtomically(join(directory, "a"), broken)).rejects.toThrow("out of bytes");
    expect(await readdir(directory)).toEqual(["a"]);
    expect(await readFile(join(directory, "a"))).toEqual(Buffer.from(whole));
    await rm(directory, { recursive: true });
  });
});
