import { mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isInFile } from "../../../../../../services/shared/ml/graph/file-tensor.js";
import { float32 } from "../../../../../../services/shared/ml/graph/tensor.js";
import { tensorsOf } from "../../../../../../services/shared/ml/models/checkpoint/open.js";
import { placedWeights } from "../../../../../../services/shared/ml/models/checkpoint/stored-weights.js";
import { type Constants, inMemory } from "../../../../../../services/shared/ml/models/constants.js";
import { digestOf } from "../../../../../../services/shared/ml/models/model.js";
import { parseConfig } from "../../../../../../services/shared/ml/models/parse-config.js";
import { weightsAt } from "../../../../../../services/shared/ml/models/precision/dtype.js";

const config = parseConfig({
  ...{ model_type: "llama", vocab_size: 4, hidden_size: 4, intermediate_size: 4, num_hidden_layers: 1, num_attention_heads: 1 },
  ...{ max_position_embeddings: 8, rms_norm_eps: 1e-5, tie_word_embeddings: true },
});
const name = "model.layers.0.mlp.up_proj.weight";
const values = Float32Array.from({ length: 16 }, (_, i) => Math.sin(i) * 3);

describe("weightsAt()", () => {
  let files = "";
  beforeEach(async () => {
    files = await realpath(await mkdtemp(join(tmpdir(), "retort-test-")));
  });
  afterEach(() => rm(files, { recursive: true }));

  /** A file with one float32 tensor [4, 4], `shift` bytes behind where it would be aligned. */
  async function stored(data: Float32Array, shift = 0): Promise<Constants> {
    const header = JSON.stringify({ [name]: { dtype: "F32", shape: [4, 4], data_offsets: [0, 64] } });
    const text = header.padEnd(Math.ceil(header.length / 8) * 8 + shift);
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(BigInt(text.length));
    const path = join(files, "model.safetensors");
    await writeFile(path, Buffer.concat([head, Buffer.from(text), new Uint8Array(data.buffer)]));
    return placedWeights(await tensorsOf(path));
  }
  const written = async () => (await readdir(tmpdir())).filter((entry) => entry.startsWith(`retort-weights-${process.pid}-`));

  it("uses what lies at the type, aligned, where it lies", async () => {
    const weights = await stored(values);
    const { weights: used, close } = weightsAt(config, weights, "float32");
    expect(used).toEqual(weights);
    expect(await written()).toEqual([]);
    close();
  });

  it("copies what isn't aligned into a file of its own, and removes that", async () => {
    const { weights, close } = weightsAt(config, await stored(values, 2), "float32");
    expect(inMemory(weights.get(name)!)).toEqual(float32(values, [4, 4]));
    expect(await written()).toHaveLength(1);
    close();
    expect(await written()).toEqual([]);
  });

  it.each(["bfloat16", "float16", "int8"] as const)(
    "keeps the digest of the checkpoint in %s, and leaves its file as it is",
    async (dtype) => {
      const weights = await stored(values);
      const before = await readFile(join(files, "model.safetensors"));
      const at = weightsAt(config, weights, dtype);
      expect(digestOf(at.weights)).toBe(digestOf(weights));
      expect([...at.weights.values()].every(isInFile)).toBe(true);
      expect(await readFile(join(files, "model.safetensors"))).toEqual(before);
      at.close();
    },
  );

  it("refuses a number that float16 can't hold, naming the weight, and leaves no file", async () => {
    const weights = await stored(Float32Array.from(values, (x, i) => (i === 5 ? 70_000 : x)));
    expect(() => weightsAt(config, weights, "float16")).toThrow(`weight ${name} holds 70000 (element 5)`);
    expect(await written()).toEqual([]);
    weightsAt(config, weights, "bfloat16").close();
  });
});
