// Dimensions: T position, V vocabulary.
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isArchitecture } from "../../services/shared/ml/models/architectures/table.js";
import { openCheckpoint } from "../../services/shared/ml/models/checkpoint/open.js";
import { readStored } from "../../services/shared/ml/models/checkpoint/read.js";
import { loadModel } from "../../services/shared/ml/models/files/model-files.js";
import { formatNamed, readTypes } from "../../services/shared/ml/models/gguf/blocks/types.js";
import { digestOf } from "../../services/shared/ml/models/model.js";
import { Tokenizer } from "../../services/shared/ml/text/tokenizer.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { decoderLogits } from "../support/models/decoder-logits.js";
import { ggufFixture, importGguf } from "../support/models/gguf-fixtures.js";

type Json = Readonly<Record<string, unknown>>;

interface Golden {
  readonly reader: "gguf" | "directory";
  readonly config: Json;
  readonly rows: readonly (readonly number[])[];
  readonly logits: readonly (readonly (readonly number[])[])[];
  /** By weight: its shape, and its product with cos(0), cos(1), … */
  readonly weights: Readonly<Record<string, readonly [shape: number[], projection: number]>>;
  readonly texts: readonly { readonly text: string; readonly ids: readonly number[] }[];
}

const read = (name: string) => JSON.parse(readFileSync(ggufFixture(`${name}.json`), "utf8")) as unknown;
const blocks = read("blocks") as Readonly<Record<string, readonly [bytes: string, elements: string]>>;

describe("the elements of GGUF's types, against ggml's own Python package", () => {
  it.each(readTypes)("are the same bits: %s", (type) => {
    const [bytes, elements] = (blocks[type] ?? []).map((text) => Buffer.from(text, "base64"));
    const found = new Float32Array(elements!.length / 4);
    formatNamed(type)!.decode(bytes!, found);
    const expected = new Float32Array(new Uint8Array(elements!).buffer);
    expect(found.length).toBe(768);
    expect(Array.from(found)).toEqual(Array.from(expected));
  });

  it("are read wherever the bytes begin", () => {
    for (const type of readTypes) {
      const [bytes] = (blocks[type] ?? []).map((text) => Buffer.from(text, "base64"));
      const [there, moved] = [new Float32Array(768), new Float32Array(768)];
      formatNamed(type)!.decode(new Uint8Array(bytes!), there);
      formatNamed(type)!.decode(new Uint8Array([7, ...bytes!]).subarray(1), moved);
      expect(moved).toEqual(there);
    }
  });
});

const files = ["llama", "llama-scaled", "llama-linear", "qwen2", "qwen3", "gemma", "gemma2", "gemma3"];

/** The rotary embedding of a config.json as transformers 5 keeps it. */
function ropeOf({ model_type, rope_theta, rope_scaling, rope_local_base_freq }: Json): unknown {
  const whole = { rope_theta, rope_type: "default", ...(rope_scaling as Json | null) };
  if (model_type !== "gemma3_text") return whole;
  return { full_attention: whole, sliding_attention: { rope_theta: rope_local_base_freq, rope_type: "default" } };
}

const sizes = ["model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "head_dim"];
const keys = [
  ...[...sizes, "num_key_value_heads", "max_position_embeddings", "tie_word_embeddings", "attention_bias", "mlp_bias", "hidden_activation"],
  ...["query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping"],
];

describe.each(files)("%s.gguf, imported", (name) => {
  const golden = read(name) as Golden;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-gguf-"));
    await importGguf(ggufFixture(`${name}.gguf`), join(directory, "model"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it("has the config of transformers", () => {
    const config = JSON.parse(readFileSync(join(directory, "model", "config.json"), "utf8")) as Json;
    for (const key of keys) if (key in golden.config) expect([key, config[key]]).toEqual([key, golden.config[key]]);
    expect(Math.fround(config.rms_norm_eps as number)).toBe(Math.fround(golden.config.rms_norm_eps as number));
    expect(ropeOf(config)).toEqual(golden.config.rope_parameters);
    if (name.startsWith("gemma"))
      for (const key of ["sliding_window", "layer_types"]) expect([key, config[key]]).toEqual([key, golden.config[key]]);
  });

  it("has the weights of transformers", async () => {
    const { tensors } = await openCheckpoint(join(directory, "model"));
    expect([...tensors.keys()].sort()).toEqual(Object.keys(golden.weights).sort());
    for (const [weight, { dims, data }] of await readStored(tensors)) {
      const [shape, projection] = golden.weights[weight]!;
      expect([weight, [...dims]]).toEqual([weight, shape]);
      const found = data.reduce((sum, x, i) => sum + x * Math.cos(i), 0);
      // Gemma's norms lose their last bits where 1 was added to them.
      expectAllClose([found], [projection], { rtol: 0, atol: name.startsWith("gemma") ? 1e-6 : 1e-9 }, weight);
    }
  });

  it(`has the logits of transformers (${golden.reader})`, async () => {
    // A family that Retort does not compute is refused by the command; its weights and config are compared above.
    if (!isArchitecture(golden.config.model_type)) return;
    const model = await loadModel(join(directory, "model"));
    for (const [i, row] of golden.rows.entries())
      expectAllClose(await decoderLogits(model, row), golden.logits[i]!.flat(), { rtol: 0, atol: 2e-5 }, `logits of row ${i}`);
    expect(digestOf(model.params)).toHaveLength(64);
  });

  it("has the ids of the file's tokenizer", async () => {
    const tokenizer = await Tokenizer.load(join(directory, "model"));
    const found = golden.texts.map(({ text }) => ({ text, ids: [...tokenizer.encode(text, { addSpecial: true })] }));
    expect(found).toEqual(golden.texts);
    expect(tokenizer.decode(tokenizer.encode("a word,  日本語\n"))).toBe("a word,  日本語\n");
  });
});
