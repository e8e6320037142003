import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { sizeOf, type Tensor } from "../../services/shared/ml/graph/tensor.js";
import { readTensors } from "../../services/shared/ml/models/safetensors/safetensors-file.js";
import { writeShards, writtenTensors } from "../../services/shared/ml/models/safetensors/write-shards.js";
import { mutatedBytes } from "../support/fuzz/bytes.js";
import { casesOf, fuzz, fuzzSeed, outcomeOf, secret } from "../support/fuzz/cases.js";
import type { Random } from "../support/fuzz/random.js";
import { mutatedJson } from "../support/fuzz/structures.js";

type Entry = { dtype: string; shape: number[]; data_offsets: [number, number] };

const data = Buffer.from(Float32Array.from({ length: 24 }, (_, i) => i / 7 - 1).buffer);
const header: Record<string, Entry | Record<string, string>> = {
  __metadata__: { format: "pt", note: secret },
  first: { dtype: "F32", shape: [2, 3], data_offsets: [0, 24] },
  second: { dtype: "F16", shape: [4], data_offsets: [24, 32] },
  third: { dtype: "BF16", shape: [2, 2, 2], data_offsets: [32, 48] },
  empty: { dtype: "F32", shape: [0, 5], data_offsets: [48, 48] },
  last: { dtype: "F32", shape: [12], data_offsets: [48, 96] },
};

function fileOf(text: string, length: bigint = BigInt(Buffer.byteLength(text)), body: Buffer = data): Buffer {
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt.asUintN(64, length));
  return Buffer.concat([head, Buffer.from(text), body]);
}

/** Headers that are wrong in ways that only this format has. */
const wrong: readonly ((random: Random) => Buffer)[] = [
  (random) => fileOf(JSON.stringify(header), random.pick([0n, 1n, 7n, 100_000_001n, 2n ** 31n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n])),
  (random) =>
    fileOf(withEntry({ shape: random.pick([[2 ** 32, 2 ** 32], [2 ** 53], [2 ** 27, 2 ** 27, 0], [-2, -3], [1.5, 4], [6.000001]]) })),
  (random) =>
    fileOf(
      withEntry({
        data_offsets: random.pick([
          [8, 32],
          [24, 0],
          [-24, 0],
          [72, 96],
          [0, 2 ** 53],
          [1e300, 1e301],
          [0.5, 24.5],
        ]),
      }),
    ),
  (random) => fileOf(withEntry({ dtype: random.pick(["F64", "I8", "f32", "", "__proto__", "constructor", "F8_E4M3", "toString"]) })),
  (random) => fileOf(JSON.stringify(header).replace("second", random.pick(["first", "last", "__proto__", "\\u0066irst", ""]))),
  (random) => fileOf(JSON.stringify(header), undefined, data.subarray(0, random.int(97))),
  (random) => fileOf(`${JSON.stringify(header)}${" ".repeat(random.pick([1, 7, 5000]))}`),
  (random) =>
    fileOf(random.pick(["", "null", "[]", "1", '"x"', "{", "{}", "[".repeat(20_000), `{"a":${"[".repeat(20_000)}`, `{"${secret}`])),
];

const withEntry = (fields: object): string => JSON.stringify({ ...header, first: { ...header.first, ...fields } });

function changedFile(random: Random): Buffer {
  const kind = random.int(4);
  if (kind === 0) return random.pick(wrong)(random);
  if (kind === 1) return fileOf(JSON.stringify(mutatedJson(random, header as never)));
  return mutatedBytes(random, fileOf(JSON.stringify(header)));
}

/** Holds what a reader returned against the file's own header. */
function expectExactly(file: Buffer, tensors: ReadonlyMap<string, Tensor<"float32">>): void {
  const start = 8 + Number(file.readBigUInt64LE());
  const said = JSON.parse(file.subarray(8, start).toString()) as Record<string, Entry>;
  const names = Object.keys(said).filter((name) => name !== "__metadata__");
  if (names.length !== tensors.size) throw new Error(`the header has ${names.length} tensors, and ${tensors.size} were read`);
  const places = names.map((name) => said[name]!.data_offsets).filter(([from, to]) => to > from);
  const sorted = places.sort(([a], [b]) => a - b);
  if (sorted.some(([from], i) => i > 0 && from < sorted[i - 1]![1])) throw new Error("tensors share bytes, and were read all the same");
  for (const [name, { dims, data: values }] of tensors) {
    const { dtype, shape, data_offsets } = said[name]!;
    const bytes = file.subarray(start + data_offsets[0], start + data_offsets[1]);
    if (String(dims) !== String(shape) || sizeOf(dims) !== values.length) throw new Error(`${name} has shape [${dims}] for [${shape}]`);
    if (values.length * (dtype === "F32" ? 4 : 2) !== bytes.length)
      throw new Error(`${name} has ${values.length} values of ${bytes.length} bytes`);
    if (dtype === "F32" && !Buffer.from(values.buffer, values.byteOffset, values.byteLength).equals(bytes))
      throw new Error(`${name} has other values than its file`);
  }
}

describe("a safetensors file that may be anything", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-fuzz-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it("is refused, or its tensors are read exactly", async () => {
    let read = 0;
    await fuzz("safetensors", 2000, async (random) => {
      const file = changedFile(random);
      const path = join(directory, "model.safetensors");
      await writeFile(path, file);
      const outcome = await outcomeOf(() => readTensors(path));
      if ("refusal" in outcome) return;
      read++;
      expectExactly(file, outcome.value);
    });
    if (process.env.RETORT_FUZZ_ONLY === undefined) expect(read).toBeGreaterThan(0);
  });

  it("is read as it was written", async () => {
    const shape = fc.array(fc.nat(4), { maxLength: 4 });
    const tensors = fc.dictionary(fc.string({ unit: "grapheme" }), shape, { maxKeys: 6 });
    await fc.assert(
      fc.asyncProperty(tensors, async (shapes) => {
        const made = Object.entries(shapes).map(([name, dims], i) => {
          const values = Float32Array.from({ length: sizeOf(dims) }, (_, at) => Math.sin(at + i));
          return [name, { dtype: "float32" as const, dims, data: values }] as const;
        });
        const usual = new Map(made.filter(([name]) => name !== "__metadata__" && name !== "__proto__"));
        await writeShards(directory, writtenTensors(usual), { sync: false });
        expect(await readTensors(join(directory, "model.safetensors"))).toEqual(new Map([...usual].sort(([a], [b]) => (a < b ? -1 : 1))));
      }),
      { seed: Number(fuzzSeed), numRuns: casesOf(200) },
    );
  });
});
