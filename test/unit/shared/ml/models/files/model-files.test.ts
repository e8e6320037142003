import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspectModel } from "../../../../../../services/shared/ml/models/files/inspect-model.js";
import { loadHead } from "../../../../../../services/shared/ml/models/files/load-head.js";
import { loadModel, saveModel } from "../../../../../../services/shared/ml/models/files/model-files.js";
import type { Model } from "../../../../../../services/shared/ml/models/model.js";
import { encodeSafetensors } from "../../../../../support/models/encode-safetensors.js";
import { smallConfigs, smallModel } from "../../../../../support/models/small-model.js";

const model = smallModel({ model_type: "llama", num_attention_heads: 4, num_key_value_heads: 2, tie_word_embeddings: false });
const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 1234\n";
const embedding = "model.embed_tokens.weight";

describe("a model directory", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-directory-"));
    await saveModel(directory, model);
  });
  afterEach(() => rm(directory, { recursive: true }));

  const at = (file: string) => join(directory, file);
  const write = (file: string, content: string | Uint8Array) => writeFile(at(file), content);
  const remove = (...files: string[]) => Promise.all(files.map((file) => rm(at(file))));
  const weights = (tensors: Model["params"], file = "model.safetensors") => write(file, Buffer.concat([...encodeSafetensors(tensors)]));
  const config = (keys: Readonly<Record<string, unknown>>) => write("config.json", JSON.stringify({ ...model.rawConfig, ...keys }));
  const renamed = (rename: (name: string) => string) => new Map([...model.params].map(([name, tensor]) => [rename(name), tensor]));
  const changed = (name: string, change: (data: Float32Array) => void): Model["params"] => {
    const tensor = model.params.get(name)!;
    const data = tensor.data.slice();
    change(data);
    return new Map([...model.params, [name, { ...tensor, data }]]);
  };

  /** Two shards and their index, in the place of the single file; gives the index's map. */
  const shard = async (): Promise<Record<string, string>> => {
    const names = [...model.params.keys()];
    const first = new Set(names.slice(0, 5));
    const map = Object.fromEntries(names.map((name) => [name, `model-0000${first.has(name) ? 1 : 2}-of-00002.safetensors`]));
    for (const file of new Set(Object.values(map))) await weights(new Map([...model.params].filter(([name]) => map[name] === file)), file);
    await write("model.safetensors.index.json", JSON.stringify({ weight_map: map }));
    await remove("model.safetensors");
    return map;
  };

  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      "that does not exist",
      () => rm(directory, { recursive: true }).then(() => mkdir(directory)),
      /config\.json cannot be read: it is not there; the directory is empty or does not exist/,
    ],
    ["with a config.json that is no JSON", () => write("config.json", "{"), /config\.json is not JSON: .*copy or download it again/],
    ["with an empty config.json", () => write("config.json", " "), /config\.json is empty/],
    ["with a config.json that is a list", () => write("config.json", "[]"), /config\.json is no JSON object/],
    [
      "of an adapter that is none of PEFT's",
      () => Promise.all([remove("config.json", "model.safetensors"), write("adapter_config.json", "{}")]),
      /adapter_config\.json: peft_type is missing/,
    ],
    [
      "of a model with an adapter beside it",
      () => write("adapter_config.json", "{}"),
      /and a PEFT adapter .*move config\.json, or the adapter's files/,
    ],
    [
      "with weights that are a git-lfs pointer",
      () => write("model.safetensors", pointer),
      /model\.safetensors is a git-lfs pointer.*git lfs pull/,
    ],
    [
      "with a tokenizer that is a git-lfs pointer",
      () => write("tokenizer.json", pointer),
      /tokenizer\.json is a git-lfs pointer.*git lfs pull/,
    ],
    [
      "with an index that is a git-lfs pointer",
      () => shard().then(() => write("model.safetensors.index.json", pointer)),
      /index\.json is a git-lfs pointer/,
    ],
    [
      "of pickled weights",
      () => Promise.all([remove("model.safetensors"), write("pytorch_model.bin", "")]),
      /pytorch_model\.bin holds pickled weights.*save_pretrained/,
    ],
    [
      "of a GGUF file",
      () => Promise.all([remove("config.json", "model.safetensors"), write("m-q4.gguf", "")]),
      /m-q4\.gguf is a GGUF file/,
    ],
    [
      "without weights",
      () => remove("model.safetensors"),
      /has no model\.safetensors \(nor .*\); it holds config\.json, .*save_pretrained/,
    ],
    ["with a file that is cut off", () => truncate(at("model.safetensors"), 9000), /ends after the file; it is cut off/],
    ["with a file of a header alone", () => truncate(at("model.safetensors"), 60), /not a safetensors file, or cut off \(60 bytes\)/],
    ["with a file of something else", () => write("model.safetensors", "PK\u0003\u0004 this is another archive"), /not a safetensors file/],
    [
      "without a shard",
      () => shard().then(() => remove("model-00002-of-00002.safetensors")),
      /model-00002-of-00002\.safetensors is not there, in which .* places \d+ tensors/,
    ],
    [
      "with a shard that is cut off",
      () => shard().then(() => truncate(at("model-00001-of-00002.safetensors"), 5000)),
      /model-00001-of-00002\.safetensors: tensor .* is cut off/,
    ],
    [
      "with an index of another saving",
      () =>
        shard().then((map) =>
          write(
            "model.safetensors.index.json",
            JSON.stringify({ weight_map: { ...map, [embedding]: "model-00002-of-00002.safetensors" } }),
          ),
        ),
      /says that tensor model\.embed_tokens\.weight is in model-00002-of-00002\.safetensors, which has no such tensor/,
    ],
    ["with an empty index", () => shard().then(() => write("model.safetensors.index.json", "{}")), /no weight_map/],
    [
      "with a whole file beside its shards",
      () => shard().then(() => weights(model.params)),
      /holds both model\.safetensors and model\.safetensors\.index\.json/,
    ],
    [
      "without a tensor",
      () => weights(new Map([...model.params].filter(([name]) => name !== "model.norm.weight"))),
      /tensor model\.norm\.weight is missing/,
    ],
    [
      "without a head",
      () => weights(new Map([...model.params].filter(([name]) => name !== "lm_head.weight"))),
      /lm_head\.weight is missing; .*tie_word_embeddings true/,
    ],
    ["with tensors of other shapes", () => config({ vocab_size: 151 }), /has shape \[150,32\]; config\.json calls for \[151,32\]/],
    ["with more layers than its config says", () => config({ num_hidden_layers: 1 }), /tensor model\.layers\.1\..* does not belong/],
    ["from a compiled model", () => weights(renamed((name) => `_orig_mod.${name}`)), /tensor _orig_mod\..*compiled model.*save_pretrained/],
    ["from a parallel wrapper", () => weights(renamed((name) => `module.${name}`)), /tensor module\..*parallel wrapper/],
    [
      "of GPTQ weights",
      () => weights(renamed((name) => name.replace("q_proj.weight", "q_proj.qweight"))),
      /q_proj\.qweight belongs to quantised weights .*dequantise first/,
    ],
    [
      "of LoRA weights",
      () => weights(renamed((name) => name.replace("q_proj.weight", "q_proj.lora_A.weight"))),
      /lora_A\.weight belongs to a PEFT adapter: merge/,
    ],
    ["of fused projections", () => weights(renamed((name) => name.replace("q_proj", "qkv_proj"))), /fused as in another family/],
  ])("%s is refused by every reader", async (_, change, message) => {
    await change();
    for (const read of [loadModel, inspectModel, loadHead]) await expect(read(directory)).rejects.toThrow(message);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("with a weight of %d is refused at load", async (strange) => {
    const name = "model.layers.1.mlp.up_proj.weight";
    await weights(
      changed(name, (data) => {
        data[77] = strange;
      }),
    );
    await expect(loadModel(directory)).rejects.toThrow(`${directory}/model.safetensors: tensor ${name} holds ${strange} (element 77)`);
  });

  it("names files that its index passes over, and reads what the index says", async () => {
    await shard();
    const stale = changed("lm_head.weight", (data) => data.fill(1));
    await weights(new Map([["lm_head.weight", stale.get("lm_head.weight")!]]), "model-00003-of-00003.safetensors");
    const first = new Map([...model.params].slice(0, 5));
    await weights(new Map([...first, ["lm_head.weight", stale.get("lm_head.weight")!]]), "model-00001-of-00002.safetensors");
    const { params, warnings } = await loadModel(directory);
    expect(params.get("lm_head.weight")).toEqual(model.params.get("lm_head.weight"));
    expect(await loadHead(directory)).toEqual(model.params.get("lm_head.weight"));
    expect(warnings).toEqual([
      expect.stringMatching(/model-00003-of-00003\.safetensors: passed over, as .* does not name it/),
      expect.stringMatching(/model-00001-of-00002\.safetensors holds tensor lm_head\.weight too, .* places in model-00002-of-00002/),
    ]);
    expect((await inspectModel(directory)).warnings).toEqual(warnings);
  });

  it("gives a head with the cap that its family puts on logits", async () => {
    await saveModel(directory, smallModel(smallConfigs.gemma2));
    expect(await loadHead(directory)).toMatchObject({ dims: [150, 32], softCap: smallConfigs.gemma2.final_logit_softcapping });
  });

  it("with another head than its tied flag says keeps the head, warns, and is saved so", async () => {
    await config({ tie_word_embeddings: true });
    const loaded = await loadModel(directory);
    expect(loaded.config.tieWordEmbeddings).toBe(false);
    expect(loaded.warnings).toEqual([expect.stringMatching(/tie_word_embeddings true, and lm_head\.weight differs/)]);
    expect((await inspectModel(directory)).config!.tieWordEmbeddings).toBe(false);
    expect(await loadHead(directory)).toEqual(model.params.get("lm_head.weight"));
    await saveModel(directory, loaded);
    const again = await loadModel(directory);
    expect([again.params, again.warnings]).toEqual([loaded.params, []]);
  });

  it("says the type of its file when it is saved: changes of 1e-6 outlast a word of bfloat16", async () => {
    await config({ torch_dtype: "bfloat16", dtype: "bfloat16" });
    const loaded = await loadModel(directory);
    await saveModel(directory, loaded);
    const saved = JSON.parse(await readFile(at("config.json"), "utf8")) as Record<string, unknown>;
    expect([saved.torch_dtype, saved.dtype]).toEqual(["float32", "float32"]);
    expect((await loadModel(directory)).params).toEqual(model.params);
  });
});
