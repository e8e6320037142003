import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  allocate,
  chunksOf,
  gather,
  joined,
  lengthOf,
  ownBuffers,
  piecesOf,
  sliceOf,
  updateHash,
} from "../../../../services/shared/base/file-bytes.js";
import { writeAtomically } from "../../../../services/shared/base/write-atomically.js";

const whole = Uint8Array.from({ length: 23 }, (_, i) => i);
/** The same bytes in every way to cut them in three, empty pieces included. */
const cuts = Array.from({ length: 24 }, (_, a) =>
  Array.from({ length: 24 - a }, (_, b) => [whole.subarray(0, a), whole.subarray(a, a + b), whole.subarray(a + b)]),
).flat();

async function* stream(...chunks: Uint8Array[]) {
  yield* chunks;
}

describe("joined()", () => {
  it("copies the same bytes however the file is cut, and however large an array may be", () => {
    for (const pieces of cuts)
      for (const largest of [4, 23, 100]) {
        const parts = Object.assign([...pieces], { byteLength: 23 });
        const bytes = joined(parts, largest);
        expect(Buffer.concat(piecesOf(bytes))).toEqual(Buffer.from(whole));
        expect(piecesOf(bytes)).toHaveLength(Math.ceil(23 / largest));
        expect(piecesOf(bytes)[0]!.buffer).not.toBe(whole.buffer);
      }
  });
});

describe("sliceOf()", () => {
  it("gives the same bytes however the file is cut", () => {
    for (const pieces of cuts)
      for (const [from, to] of [
        [0, 8],
        [8, 20],
        [0, 23],
        [11, 11],
        [22, 23],
      ] as const)
        expect(Buffer.from(sliceOf(pieces, from, to))).toEqual(Buffer.from(whole.subarray(from, to)));
    expect(lengthOf(cuts[40]!)).toBe(23);
  });

  it("copies nothing that lies in one piece", () => {
    const pieces = [whole.slice(0, 8), whole.slice(8)];
    expect(sliceOf(pieces, 8, 20).buffer).toBe(pieces[1]!.buffer);
    expect(sliceOf(pieces, 0, 8).buffer).toBe(pieces[0]!.buffer);
    expect(ownBuffers(pieces)).toEqual([pieces[0]!.buffer, pieces[1]!.buffer]);
    expect(ownBuffers(whole.subarray(1))).toEqual([]);
  });
});

describe("gather()", () => {
  it.each([5, 8, 22, 23, 1000])("fills pieces of %p bytes from chunks of any size", async (largest) => {
    for (const pieces of cuts) {
      const found = await gather(23, stream(...pieces), "a file", largest);
      expect(Buffer.concat(piecesOf(found))).toEqual(Buffer.from(whole));
      expect(piecesOf(found).every(({ length }) => length <= largest)).toBe(true);
    }
  });

  it.each([
    ["fewer", 24, "23 bytes came, 24 were announced"],
    ["more", 22, "23 bytes came, 22 were announced"],
  ])("refuses %s bytes than were announced", async (_, size, message) => {
    await expect(gather(size, stream(whole), "model.safetensors")).rejects.toMatchObject({
      code: "DataLoss",
      message: `model.safetensors: ${message}`,
    });
  });

  it("gives an empty file", async () => {
    expect(await gather(0, stream(), "empty")).toEqual(new Uint8Array());
  });

  it("says that there is no memory", () => {
    expect(() => allocate(2 ** 52, 2 ** 52)).toThrow(/no memory for a file of 4503599627370496 bytes/);
  });
});

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
