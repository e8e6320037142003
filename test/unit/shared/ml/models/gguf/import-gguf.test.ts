import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownDirectory } from "../../../../../../services/shared/base/own-directory.js";
import { loadModel } from "../../../../../../services/shared/ml/models/files/model-files.js";
import { withGguf } from "../../../../../../services/shared/ml/models/gguf/import-gguf.js";
import { digestOf } from "../../../../../../services/shared/ml/models/model.js";
import { Tokenizer } from "../../../../../../services/shared/ml/text/tokenizer.js";
import { changedGguf, type PlainGguf, type PlainTensor } from "../../../../../support/models/gguf-bytes.js";
import { ggufFixture, importGguf } from "../../../../../support/models/gguf-fixtures.js";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "retort-gguf-"));
});
afterEach(() => rm(directory, { recursive: true }));

const place = (name: string) => join(directory, name);

/** Plans the import of the small file with other metadata and tensors. */
async function planned(metadata: PlainGguf["metadata"], tensors?: Readonly<Record<string, PlainTensor>>) {
  await writeFile(place("x.gguf"), changedGguf(metadata, tensors));
  return withGguf(place("x.gguf"), {}, async (_, plan) => plan);
}

const tokenizerOf = async (metadata: PlainGguf["metadata"]) =>
  JSON.parse((await planned(metadata)).tokenizer.files["tokenizer.json"]) as Record<string, { vocab: Record<string, number> }>;
const settingsOf = async (metadata: PlainGguf["metadata"]) =>
  JSON.parse((await planned(metadata)).tokenizer.files["tokenizer_config.json"]) as Record<string, unknown>;

describe("withGguf()", () => {
  it.each<[string, PlainGguf["metadata"], RegExp]>([
    ["another architecture", { "general.architecture": { text: "mamba" } }, /general.architecture is "mamba"; supported: gemma, /],
    ["an adapter", { "general.type": { text: "adapter" } }, /general.type is "adapter"/],
    ["a part of a model", { "split.count": { u32: 3 } }, /split.count is 3; .*llama-gguf-split --merge/],
    ["experts", { "llama.expert_count": { u32: 8 } }, /llama.expert_count is 8; supported: 0/],
    ["a key that means something", { "llama.logit_scale": { f32: 2 } }, /llama.logit_scale is 2; supported: 0, 1/],
    ["a key nobody knows", { "llama.attention.twist": { u32: 1 } }, /llama.attention.twist is 1; .*no such key/],
    ["part of a head rotated", { "llama.rope.dimension_count": { u32: 2 } }, /rope.dimension_count is 2; .*\(4\)/],
    ["longrope", { "llama.rope.scaling.type": { text: "longrope" } }, /rope.scaling.type is "longrope"; supported: none, linear, yarn/],
    ["yarn without its context", { "llama.rope.scaling.type": { text: "yarn" } }, /original_context_length is missing/],
    ["no size", { "llama.block_count": undefined }, /llama.block_count is missing; supported: a positive whole number/],
    ["more layers than tensors", { "llama.block_count": { u32: 0xffffffff } }, /block_count is 4294967295; .*tensors \(11\)/],
    ["heads that differ", { "llama.attention.head_count": { i32s: [2, 1] } }, /head_count is \[2,1\]; .*every layer/],
    ["a vocabulary of another size", { "llama.vocab_size": { u32: 7 } }, /vocab_size is 7; .*\(6\)/],
    ["another kind of tokenizer", { "tokenizer.ggml.model": { text: "bert" } }, /tokenizer.ggml.model is "bert"; supported: gpt2 /],
    [
      "an unknown way to split",
      { "tokenizer.ggml.pre": { text: "odd" } },
      /tokenizer.ggml.pre is "odd"; supported: .*llama-bpe.*qwen2.*smollm/,
    ],
    ["no merges", { "tokenizer.ggml.merges": undefined }, /merges is missing/],
    ["a merge of no tokens", { "tokenizer.ggml.merges": { texts: ["b a"] } }, /merge 0, "b a"/],
    ["a role without a token", { "tokenizer.ggml.bos_token_id": { u32: 99 } }, /bos_token_id is 99; .*6 tokens/],
    ["two tokens alike", { "tokenizer.ggml.tokens": { texts: ["a", "b", "ab", "a", "c", "d"] } }, /tokens 0 and 3 are both "a"/],
    ["more tokens than rows", { "tokenizer.ggml.tokens": { texts: [..."abcdefg"] } }, /7 tokens, and token_embd.weight has 6 rows/],
  ])("refuses %s", async (_, metadata, message) => {
    await expect(planned(metadata)).rejects.toThrow(message);
  });

  it.each<[string, Readonly<Record<string, PlainTensor>>, RegExp]>([
    ["a type that is not read", { "output_norm.weight": { shape: [8], type: 10 } }, /output_norm.weight is Q2_K; supported: F32, F16, /],
    ["a tensor of another family", { "blk.0.attn_q_norm.weight": { shape: [4] } }, /blk.0.attn_q_norm.weight belongs to no llama model/],
    ["a layer too many", { "blk.1.attn_norm.weight": { shape: [8] } }, /blk.1.attn_norm.weight belongs to no llama model of 1 layers/],
    ["another shape", { "blk.0.ffn_up.weight": { shape: [8, 8] } }, /mlp.up_proj.weight has shape \[8,8\]/],
    ["queries of other heads", { "blk.0.attn_q.weight": { shape: [4, 8] } }, /attn_q.weight has 4 rows, and its heads call for 8/],
    ["factors of another size", { "rope_freqs.weight": { shape: [4] } }, /rope_freqs.weight is F32 \[4\]; F32 \[2\] is expected/],
    ["quantised factors", { "rope_freqs.weight": { shape: [32], type: 10 } }, /rope_freqs.weight is Q2_K/],
    [
      "factors nobody knows",
      { "rope_freqs.weight": { shape: [2], bytes: new Uint8Array(Float32Array.of(3, 1).buffer) } },
      /tensor rope_freqs.weight divides frequencies by \[3,1\]; supported: .*Llama 3.1/,
    ],
  ])("refuses %s", async (_, tensors, message) => {
    await expect(planned({}, tensors)).rejects.toThrow(message);
  });

  it("refuses weights that are not finite", async () => {
    const bytes = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, Number.NaN, 7, 8).buffer);
    await writeFile(place("x.gguf"), changedGguf({}, { "output_norm.weight": { shape: [8], bytes } }));
    await expect(importGguf(place("x.gguf"), place("out"))).rejects.toThrow(/tensor output_norm.weight holds NaN/);
    expect((await readdir(place("out"))).filter((name) => /safetensors|tmp/.test(name))).toEqual([]);
  });

  it("names a file that cannot be opened, and leaves errors of the work as they are", async () => {
    const absent = withGguf(place("absent.gguf"), {}, async () => {});
    await expect(absent).rejects.toThrow(/absent.gguf cannot be read \(ENOENT\); name a GGUF file/);
    await expect(absent).rejects.toMatchObject({ code: "NotFound" });
    const unread = withGguf(ggufFixture("llama.gguf"), {}, () => readFile(place("absent")));
    await expect(unread).rejects.toMatchObject({ code: "ENOENT", path: place("absent") });
  });

  it("says what it was not told", async () => {
    const { warnings } = await planned({
      "tokenizer.ggml.pre": undefined,
      "adapter.kind": { text: "?" },
      "tokenizer.ggml.odd": { u32: 1 },
    });
    expect(warnings).toEqual([
      expect.stringMatching(/pre does not name the tokenizer/),
      expect.stringMatching(/adapter.kind, tokenizer.ggml.odd of its 16 keys/),
    ]);
  });

  it("carries how a rotary embedding is scaled", async () => {
    const scaled = { "llama.rope.scaling.factor": { f32: 4 }, "llama.rope.freq_base": { f32: 1e6 } };
    expect((await planned(scaled)).config).toMatchObject({ rope_theta: 1e6, rope_scaling: { rope_type: "linear", factor: 4 } });
    const yarn = { "llama.rope.scaling.type": { text: "yarn" }, "llama.rope.scaling.original_context_length": { u32: 8 } };
    expect((await planned({ ...scaled, ...yarn })).config).toMatchObject({
      rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 8, beta_fast: 32, beta_slow: 1 },
    });
    const factors = (...values: number[]) => ({
      "rope_freqs.weight": { shape: [2], bytes: new Uint8Array(Float32Array.from(values).buffer) },
    });
    expect((await planned({}, factors(1, 1))).config.rope_scaling).toBeNull();
    expect((await planned({}, factors(1, 8))).config.rope_scaling).toMatchObject({ rope_type: "llama3", factor: 8, low_freq_factor: 1 });
    await expect(planned(scaled, factors(1, 8))).rejects.toThrow(/supported: none beside a tensor rope_freqs.weight/);
  });

  it("takes values that say what the family does anyway", async () => {
    const { config } = await planned({
      "llama.expert_count": { u32: 0 },
      "llama.attention.causal": { bool: true },
      "llama.rope.scaling.type": { text: "none" },
      "llama.tensor_data_layout": { text: "Meta AI original pth" },
      "llama.feed_forward_length": { i32s: [16] },
    });
    expect(config).toMatchObject({ rope_scaling: null, rope_theta: 10000, intermediate_size: 16, head_dim: 4 });
  });
});

describe("an imported tokenizer", () => {
  it("leaves out what fills up the vocabulary, and adds control and user-defined tokens", async () => {
    const tokens = { texts: ["<s>", "</s>", "a", "b", "ab", "[PAD5]"] };
    const { model, added_tokens } = await tokenizerOf({
      "tokenizer.ggml.tokens": tokens,
      "tokenizer.ggml.token_type": { i32s: [3, 4, 1, 1, 1, 5] },
    });
    expect(model?.vocab).toEqual({ "<s>": 0, "</s>": 1, a: 2, b: 3, ab: 4 });
    expect(added_tokens).toMatchObject([
      { id: 0, content: "<s>", special: true, normalized: false },
      { id: 1, content: "</s>", special: false, normalized: false },
    ]);
  });

  it("puts tokens around a text where the file says so, or llama.cpp does", async () => {
    expect((await tokenizerOf({})).post_processor).toBeNull();
    const both = { "tokenizer.ggml.add_bos_token": { bool: true }, "tokenizer.ggml.add_eos_token": { bool: true } };
    expect((await tokenizerOf(both)).post_processor).toMatchObject({
      single: [{ SpecialToken: { id: "<s>" } }, { Sequence: { id: "A" } }, { SpecialToken: { id: "</s>" } }],
    });
    const llama3 = await tokenizerOf({ "tokenizer.ggml.pre": { text: "llama-bpe" } });
    expect(llama3).toMatchObject({ model: { ignore_merges: true }, post_processor: { single: [{ SpecialToken: { id: "<s>" } }, {}] } });
  });

  it.each(["llama-bpe", "dbrx", "qwen2", "stablelm2", "smollm", "gpt-2", "gpt-4o", "tekken", "glm4", "default"])(
    "splits text so that the Rust core can, and gives it back: %s",
    async (pre) => {
      const { tokenizer } = await planned({ "tokenizer.ggml.pre": { text: pre } });
      const built = new Tokenizer(tokenizer.files);
      expect(built.decode(built.encode("<x>ab b<s>", { addSpecial: false }))).toBe("<x>abb");
    },
  );

  it("carries one chat template, or all of them by name", async () => {
    expect(await settingsOf({ "tokenizer.chat_template": { text: "T" } })).toMatchObject({ chat_template: "T", bos_token: "<s>" });
    const several = { "tokenizer.chat_template": { text: "T" }, "tokenizer.chat_template.tool_use": { text: "U" } };
    const { chat_template } = await settingsOf({ ...several, "tokenizer.chat_templates": { texts: ["tool_use"] } });
    expect(chat_template).toEqual([
      { name: "default", template: "T" },
      { name: "tool_use", template: "U" },
    ]);
    expect(await settingsOf({})).not.toHaveProperty("chat_template");
  });

  it("spells words that a converter wrote as plain text in bytes", async () => {
    const { model } = await tokenizerOf({
      "tokenizer.ggml.tokens": { texts: ["<s>", "</s>", "a", "b", "ab", "日"] },
      "tokenizer.ggml.token_type": undefined,
    });
    expect(model?.vocab["æĹ¥"]).toBe(5);
  });

  it("names every token that ends an answer, and the sampling that the file recommends", async () => {
    const metadata = { "tokenizer.ggml.eot_token_id": { u32: 5 }, "general.sampling.top_k": { u32: 20 } };
    const { files } = await planned(metadata);
    expect(JSON.parse(files["generation_config.json"]!)).toEqual({ bos_token_id: 0, eos_token_id: [1, 5], do_sample: true, top_k: 20 });
  });
});

describe("writeImport()", () => {
  it("writes shards and their index, of the same digest as one file, and nothing stale stays", async () => {
    const whole = await importGguf(ggufFixture("llama.gguf"), place("out"));
    const model = await loadModel(place("out"));
    expect(whole.digest).toBe(digestOf(model.params));
    const parts = await importGguf(ggufFixture("llama.gguf"), place("out"), { shardBytes: 30_000 });
    const names = (await readdir(place("out"))).filter((name) => /safetensors/.test(name));
    expect(names).toContain("model.safetensors.index.json");
    expect(names).not.toContain("model.safetensors");
    expect(names.length).toBeGreaterThan(3);
    expect(digestOf((await loadModel(place("out"))).params)).toBe(whole.digest);
    expect(parts.digest).toBe(whole.digest);
    await importGguf(ggufFixture("llama.gguf"), place("out"));
    expect((await readdir(place("out"))).filter((name) => /safetensors/.test(name))).toEqual(["model.safetensors"]);
  });

  it.each([
    ["an index", ["model.safetensors.index.json"], undefined],
    ["shards", ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"], undefined],
    ["one file, where shards are written", ["model.safetensors"], 30_000],
  ])("refuses other weights in a directory that was taken by force, before it writes: %s", async (_, names, shardBytes) => {
    await mkdir(place("out"));
    for (const name of names) await writeFile(place(`out/${name}`), "old");
    await ownDirectory(place("out"), "import", { force: true });
    const before = await readdir(place("out"));
    const imported = importGguf(ggufFixture("llama.gguf"), place("out"), { shardBytes });
    await expect(imported).rejects.toThrow(`out holds other weights (${names.join(", ")}), which would lie beside model.safetensors`);
    await expect(imported).rejects.toThrow(/; remove them, or name another directory$/);
    expect(await readdir(place("out"))).toEqual(before);
  });

  it("writes over weights of the same names in a directory that was taken by force", async () => {
    await mkdir(place("out"));
    await writeFile(place("out/model.safetensors"), "old");
    await ownDirectory(place("out"), "import", { force: true });
    const { digest } = await importGguf(ggufFixture("llama.gguf"), place("out"));
    expect(digestOf((await loadModel(place("out"))).params)).toBe(digest);
  });

  it.each([
    ["llama", "float32", "F32"],
    ["llama-scaled", "float16", "F16"],
    ["qwen3", "bfloat16", "BF16"],
  ])("writes %s as %s, which loses nothing", async (name, type, dtype) => {
    const { elementType, config } = await importGguf(ggufFixture(`${name}.gguf`), place("out"));
    expect([elementType, config.dtype, config.torch_dtype]).toEqual([type, type, type]);
    expect((await readFile(place("out/model.safetensors"), "latin1")).includes(`"dtype":"${dtype}"`)).toBe(true);
    const wide = await importGguf(ggufFixture(`${name}.gguf`), place("wide"), { elementType: "float32" });
    expect(digestOf((await loadModel(place("out"))).params)).toBe(wide.digest);
  });

  it("writes float32 where norms beside half precision would lose bits", async () => {
    const norm = { shape: [8], bytes: new Uint8Array(Float32Array.from({ length: 8 }, () => 1 + 2 ** -20).buffer) };
    const embedding = { shape: [6, 8], type: 1, bytes: new Uint8Array(96) };
    await writeFile(place("x.gguf"), changedGguf({}, { "token_embd.weight": embedding, "output_norm.weight": norm }));
    expect((await importGguf(place("x.gguf"), place("out"))).elementType).toBe("float32");
  });

  it("rounds to a type that is asked for", async () => {
    const { digest, writeBytes } = await importGguf(ggufFixture("llama.gguf"), place("out"), { elementType: "bfloat16" });
    const { params } = await loadModel(place("out"));
    expect(digestOf(params)).toBe(digest);
    expect(writeBytes).toBe([...params.values()].reduce((sum, { data }) => sum + 2 * data.length, 0));
  });
});
