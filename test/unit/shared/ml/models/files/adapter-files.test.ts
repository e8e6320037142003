import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { initialFactors, loraOf } from "../../../../../../services/shared/ml/models/adapter/layers.js";
import { readConfig } from "../../../../../../services/shared/ml/models/checkpoint/check.js";
import { copyAdapter, saveAdapter } from "../../../../../../services/shared/ml/models/files/adapter-files.js";
import { inspectModel } from "../../../../../../services/shared/ml/models/files/inspect-model.js";
import { loadHead } from "../../../../../../services/shared/ml/models/files/load-head.js";
import { loadAdaptable, loadModel, readModel, saveModel } from "../../../../../../services/shared/ml/models/files/model-files.js";
import type { Adapter } from "../../../../../../services/shared/ml/models/lora.js";
import { encodeSafetensors } from "../../../../../support/models/encode-safetensors.js";
import { smallModel } from "../../../../../support/models/small-model.js";
import { smallT5 } from "../../../../../support/models/small-t5.js";

const model = smallModel();
const { config, tokenizer } = model;

describe("a PEFT adapter's directory", () => {
  let root: string;
  let base: string;
  let directory: string;
  let adapter: Adapter;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-adapter-"));
    [base, directory] = [join(root, "base"), join(root, "adapter")];
    await saveModel(base, model);
    const lora = loraOf(config, { r: 2, alpha: 4, useRslora: false, targetModules: ["q_proj"] });
    const factors = new Map(
      [...initialFactors(config, lora, 1n)].map(([name, tensor]) => [name, { ...tensor, data: tensor.data.map((_, i) => Math.sin(i)) }]),
    );
    adapter = { lora, factors, base };
    await saveAdapter(directory, adapter, config, tokenizer);
  });
  afterEach(() => rm(root, { recursive: true }));
  const change = async (edit: (json: Record<string, unknown>) => void) => {
    const path = join(directory, "adapter_config.json");
    const json = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
    edit(json);
    await writeFile(path, JSON.stringify(json));
  };
  const factors = (tensors: Adapter["factors"]) =>
    writeFile(join(directory, "adapter_model.safetensors"), Buffer.concat([...encodeSafetensors(tensors)]));

  it("is a model to all readers: its own, with its base's config and head", async () => {
    const found = await loadAdaptable(directory);
    expect(found.adapter).toEqual(adapter);
    expect(found.params).toEqual(model.params);
    const merged = await loadModel(directory);
    expect(merged.adapter).toBeUndefined();
    const name = "model.layers.0.self_attn.q_proj.weight";
    const [w, a, b] = [model.params.get(name)!, ...[...adapter.factors.values()].slice(0, 2)];
    const expected = w.data.map((x, i) => {
      const [row, column] = [Math.floor(i / 32), i % 32];
      return x + 2 * (b!.data[2 * row]! * a!.data[column]! + b!.data[2 * row + 1]! * a!.data[32 + column]!);
    });
    expect(merged.params.get(name)!.data).toEqual(expected);
    expect(await loadHead(directory)).toEqual(await loadHead(base));
    expect(await readConfig(directory)).toEqual(await readConfig(base));
    expect(await inspectModel(directory)).toMatchObject({ adapted: true, config: { layers: 2 } });
  });

  it("of an encoder-decoder has PEFT's task and names for it", async () => {
    const t5 = smallT5();
    await saveModel(join(root, "t5"), t5);
    const lora = loraOf(t5.config, { r: 2, alpha: 4, useRslora: false, targetModules: ["q", "wi"] });
    const own = { lora, factors: initialFactors(t5.config, lora, 1n), base: join(root, "t5") };
    await saveAdapter(join(root, "t5-adapter"), own, t5.config, t5.tokenizer);
    const settings = JSON.parse(await readFile(join(root, "t5-adapter", "adapter_config.json"), "utf8")) as Record<string, unknown>;
    expect(settings).toMatchObject({ task_type: "SEQ_2_SEQ_LM", target_modules: expect.arrayContaining(["q", "wi"]) });
    // As PEFT 0.21 names them.
    expect([...own.factors.keys()]).toEqual(
      expect.arrayContaining([
        "base_model.model.encoder.block.0.layer.0.SelfAttention.q.lora_A.weight",
        "base_model.model.encoder.block.1.layer.1.DenseReluDense.wi.lora_B.weight",
        "base_model.model.decoder.block.0.layer.1.EncDecAttention.q.lora_A.weight",
        "base_model.model.decoder.block.1.layer.2.DenseReluDense.wi.lora_B.weight",
      ]),
    );
    expect((await loadAdaptable(join(root, "t5-adapter"))).adapter).toEqual(own);
  });

  it("has its base's tokenizer where it has none, and else its own", async () => {
    expect((await loadModel(directory)).tokenizer.digest).toBe(tokenizer.digest);
    const own = JSON.parse(await readFile(join(directory, "tokenizer_config.json"), "utf8")) as Record<string, unknown>;
    await writeFile(join(directory, "tokenizer_config.json"), JSON.stringify({ ...own, chat_template: "{{ messages }}" }));
    const { templateDigest } = (await loadModel(directory)).tokenizer;
    expect(templateDigest).not.toBe(tokenizer.templateDigest);
    for (const name of ["tokenizer.json", "tokenizer_config.json"]) await rm(join(directory, name));
    expect((await loadModel(directory)).tokenizer.templateDigest).toBe(tokenizer.templateDigest);
  });

  it("is copied as it is, whether or not its base is here, and put on another that is named", async () => {
    await cp(base, join(root, "moved"), { recursive: true });
    await rm(base, { recursive: true });
    const copied = await copyAdapter(directory, join(root, "copy"));
    expect(copied).toEqual({ base, factors: adapter.factors });
    await expect(loadModel(join(root, "copy"))).rejects.toThrow(/base_model_name_or_path is .*base, and no directory is there/);
    expect((await loadAdaptable(join(root, "copy"), join(root, "moved"))).params).toEqual(model.params);
    await copyAdapter(directory, join(root, "onto"), join(root, "moved"));
    expect((await loadAdaptable(join(root, "onto"))).adapter).toEqual({ ...adapter, base: join(root, "moved") });
    await expect(loadAdaptable(join(root, "moved"), base)).rejects.toThrow(/isn't an adapter, and a base model is named for it/);
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      "whose base is a name of a hub",
      () => change((json) => (json.base_model_name_or_path = "team/model-1B")),
      /team\/model-1B, and no directory is there.*name their directory/s,
    ],
    [
      "whose base is an adapter",
      () => change((json) => (json.base_model_name_or_path = directory)),
      /is an adapter itself; merge that one first/,
    ],
    ["without its config", () => rm(join(directory, "adapter_config.json")), /holds an adapter's weights without adapter_config\.json/],
    ["without its weights", () => rm(join(directory, "adapter_model.safetensors")), /has no adapter_model\.safetensors.*save_pretrained/],
    ["of DoRA", () => change((json) => (json.use_dora = true)), /adapter_config\.json: use_dora is true: DoRA/],
    [
      "with a model beside it",
      () => writeFile(join(directory, "config.json"), "{}"),
      /holds a model \(config\.json\) and a PEFT adapter.*; move config\.json, or the adapter's files, out of the directory$/,
    ],
    [
      "whose targets it has no factors of",
      () => change((json) => (json.target_modules = ["q_proj", "v_proj"])),
      /tensor .*v_proj\.lora_A\.weight is missing/,
    ],
    [
      "that has factors of more than its targets",
      () => change((json) => (json.target_modules = ["v_proj"])),
      /q_proj\.lora_A\.weight is no factor of a linear layer/,
    ],
    [
      "of another rank",
      () => change((json) => (json.r = 3)),
      /lora_A\.weight has shape \[2,32\]; r 3 and the base model call for \[3,32\]/,
    ],
    [
      "of the head",
      () => factors(new Map([...adapter.factors, ["base_model.model.lm_head.lora_A.weight", [...adapter.factors.values()][0]!]])),
      /lm_head\.lora_A\.weight is no factor .*embedding, the head/,
    ],
    [
      "with a number that is none",
      () => factors(new Map([...adapter.factors].map(([name, tensor]) => [name, { ...tensor, data: tensor.data.map(() => Number.NaN) }]))),
      /lora_A\.weight holds NaN/,
    ],
  ])("%s is refused", async (_, damage, message) => {
    await damage();
    await expect(loadModel(directory)).rejects.toThrow(message);
  });

  it.each(["adapter_model.bin", "adapter_config.json"])("a model with a stray %s is refused, whoever reads it", async (stray) => {
    await writeFile(join(base, stray), "{}");
    for (const read of [loadModel, readModel])
      await expect(read(base)).rejects.toThrow(
        `${base} holds a model (config.json) and a PEFT adapter (${stray}), and programs differ in which they read; move config.json, or the adapter's files, out of the directory`,
      );
  });

  it("is refused where a model by itself is needed", async () => {
    await expect(readModel(directory)).rejects.toThrow(/is a PEFT adapter.*retort export .* --merged --out DIRECTORY/);
  });
});
