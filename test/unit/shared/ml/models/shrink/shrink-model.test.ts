import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownDirectory } from "../../../../../../services/shared/base/own-directory.js";
import { openLanguageModel } from "../../../../../../services/shared/ml/models/checkpoint/check.js";
import { readStored } from "../../../../../../services/shared/ml/models/checkpoint/read.js";
import { loadTokenizer, saveModel } from "../../../../../../services/shared/ml/models/files/model-files.js";
import { digestOf, type Model } from "../../../../../../services/shared/ml/models/model.js";
import { parameterCount } from "../../../../../../services/shared/ml/models/model-params.js";
import { headOf } from "../../../../../../services/shared/ml/models/safetensors/head.js";
import type { LayerChoice } from "../../../../../../services/shared/ml/models/shrink/kept-layers.js";
import { planShrink, writeShrunk } from "../../../../../../services/shared/ml/models/shrink/shrink-model.js";
import { characterTokenizer } from "../../../../../../services/shared/ml/text/character-tokenizer.js";
import { decoderLogits } from "../../../../../support/models/decoder-logits.js";
import { smallConfigs, smallModel } from "../../../../../support/models/small-model.js";
import { smallT5, t5Configs } from "../../../../../support/models/small-t5.js";

const layers = 6;

/** A small config with six layers, its lists as long. */
function deep(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const lists = Object.entries(config).flatMap(([key, list]) =>
    Array.isArray(list) && ["layer_types", "no_rope_layers"].includes(key)
      ? [[key, Array.from({ length: layers }, (_, layer) => (layer % 3 === 1 ? list[1] : list[0]) as unknown)]]
      : [],
  );
  return { ...config, num_hidden_layers: layers, ...Object.fromEntries(lists) };
}

/** The model in memory that a cut leaves: layers and weights as they were, in new places. */
function cutInMemory(model: Model, kept: readonly number[]): Model {
  const { config, params } = model;
  const left = [...params].flatMap(([name, tensor]) => {
    const layer = /\.(\d+)\./.exec(name)?.[1];
    if (layer === undefined) return [[name, tensor] as const];
    const place = kept.indexOf(Number(layer));
    return place < 0 ? [] : [[name.replace(`.${layer}.`, `.${place}.`), tensor] as const];
  });
  const experts = config.experts && { ...config.experts, inLayer: kept.map((layer) => config.experts!.inLayer[layer]!) };
  return {
    ...model,
    config: { ...config, layers: kept.length, layerKinds: kept.map((layer) => config.layerKinds[layer]!), experts },
    params: new Map(left),
  };
}

describe("a shrunk model", () => {
  let directory: string;
  const place = (name: string) => join(directory, name);
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-shrink-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  /** Config and weights; the tokenizers of some families' classes are of another kind than the tests'. */
  const load = async (name: string): Promise<Model> => {
    const { config, tensors, rawConfig } = await openLanguageModel(place(name));
    return { config, rawConfig, params: await readStored(tensors), tokenizer: characterTokenizer("ab") };
  };

  const shrunk = async (
    from: string,
    decoder: LayerChoice,
    { encoder, shardBytes }: { encoder?: LayerChoice; shardBytes?: number } = {},
  ) => {
    const plan = await planShrink(from, decoder, encoder);
    await writeShrunk(await ownDirectory(place("out"), "shrink"), plan, () => {}, shardBytes);
    const model = await load("out");
    expect(plan.parameters).toBe(parameterCount(model.config));
    return model;
  };
  const ids = [5, 9, 2, 77, 31, 9, 5, 8];

  describe.each(Object.entries(smallConfigs))("of %s", (name, config) => {
    // GPT-2 can scale scores by a layer's place.
    const kept = name === "gpt2" ? [0, 1, 2] : [1, 3, 4];

    it("computes what the layers that stay compute", async () => {
      const model = smallModel(deep(config));
      await saveModel(place("whole"), model);
      const expected = cutInMemory(model, kept);
      const found = await shrunk(place("whole"), kept);
      expect(digestOf(found.params)).toBe(digestOf(expected.params));
      expect(await decoderLogits(found, ids)).toEqual(await decoderLogits(expected, ids));
    });

    it("is the model itself with all its layers", async () => {
      const model = smallModel(deep(config));
      await saveModel(place("whole"), model);
      const found = await shrunk(place("whole"), layers);
      expect(digestOf(found.params)).toBe(digestOf(model.params));
      expect(JSON.parse(await readFile(place("out/config.json"), "utf8"))).toEqual(
        JSON.parse(await readFile(place("whole/config.json"), "utf8")),
      );
    });
  });

  it.each(Object.entries(t5Configs))("of %s keeps the layers of each part, and the biases that all share", async (_, config) => {
    const model = smallT5({ ...config, num_layers: 4, num_decoder_layers: 3 });
    await saveModel(place("whole"), model);
    const found = await shrunk(place("whole"), [1, 2], { encoder: [1, 2, 3] });
    expect(found.config).toMatchObject({ layers: 2, encoderDecoder: { encoderLayers: 3 } });
    const of = (name: string) => [...found.params.get(name)!.data];
    const from = (name: string) => [...model.params.get(name)!.data];
    expect(of("decoder.block.1.layer.1.EncDecAttention.k.weight")).toEqual(from("decoder.block.2.layer.1.EncDecAttention.k.weight"));
    expect(of("encoder.block.2.layer.0.SelfAttention.q.weight")).toEqual(from("encoder.block.3.layer.0.SelfAttention.q.weight"));
    for (const part of ["encoder", "decoder"]) {
      const shared = `${part}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;
      expect(of(shared)).toEqual(from(shared));
    }
    expect((await shrunk(place("whole"), 2)).config).toMatchObject({ layers: 2, encoderDecoder: { encoderLayers: 2 } });
  });

  it("holds its weights in the teacher's element type, bit for bit, in shards where they are large", async () => {
    const model = smallModel(deep(smallConfigs.llama));
    await saveModel(place("whole"), model);
    const halves = [...model.params].map(([name, { dims, data }]) => ({
      name,
      dims,
      bytes: Uint8Array.from({ length: 2 * data.length }, (_, i) => (i % 2 ? 60 : i)),
    }));
    let offset = 0;
    const entries = halves.map(({ name, dims, bytes }) => {
      offset += bytes.length;
      return [name, { dtype: "BF16", shape: dims, data_offsets: [offset - bytes.length, offset] }] as const;
    });
    await writeFile(
      place("whole/model.safetensors"),
      Buffer.concat([headOf(Object.fromEntries(entries)), ...halves.map(({ bytes }) => bytes)]),
    );
    const found = await shrunk(place("whole"), 2, { shardBytes: 20_000 });
    const files = (await readdir(place("out"))).filter((name) => name.endsWith(".safetensors"));
    expect(files.length).toBeGreaterThan(1);
    expect(await readFile(place(`out/model-00001-of-0000${files.length}.safetensors`), "latin1")).toContain('"dtype":"BF16"');
    const whole = await load("whole");
    expect(found.params.get("model.layers.1.mlp.up_proj.weight")).toEqual(whole.params.get("model.layers.5.mlp.up_proj.weight"));
    // Another student in the same place leaves no shard behind.
    await shrunk(place("whole"), 3);
    expect((await readdir(place("out"))).filter((name) => /safetensors/.test(name))).toEqual(["model.safetensors"]);
  });

  it("brings the tokenizer and the generation settings of its teacher", async () => {
    const model = smallModel(deep(smallConfigs.llama));
    await saveModel(place("whole"), model);
    await writeFile(place("whole/generation_config.json"), '{"eos_token_id": [2, 7]}');
    const found = await shrunk(place("whole"), 2);
    expect((await loadTokenizer(place("out"))).digest).toBe(model.tokenizer.digest);
    expect(found.config.eosIds).toEqual([2, 7]);
    expect(await readFile(place("out/generation_config.json"), "utf8")).toBe('{"eos_token_id": [2, 7]}');
  });

  it("keeps no template or setting of another teacher that was in its place", async () => {
    await saveModel(place("whole"), smallModel(deep(smallConfigs.llama)));
    await saveModel(place("other"), smallModel(deep(smallConfigs.llama)));
    await writeFile(place("other/chat_template.jinja"), "{{ messages[0].content }}");
    await writeFile(place("other/generation_config.json"), '{"eos_token_id": 9}');
    await shrunk(place("other"), 2);
    expect(await readdir(place("out"))).toEqual(expect.arrayContaining(["chat_template.jinja", "generation_config.json"]));
    await shrunk(place("whole"), 2);
    expect((await readdir(place("out"))).filter((name) => /chat|generation/.test(name))).toEqual([]);
  });

  it.each<[string, LayerChoice, LayerChoice | undefined, RegExp]>([
    ["more layers than there are", 7, undefined, /it has 6 layers, and 7 of them are to stay; name a number from 1 to 6/],
    ["a layer that is not there", [0, 6], undefined, /it has 6 layers, and layer 6 is to stay; they are counted from 0 to 5/],
    ["layers that change their order", [3, 1], undefined, /layer 1 is named behind 3; layers keep their order/],
    ["a layer twice", [1, 1], undefined, /layer 1 is named behind 1/],
    ["none", [], undefined, /none is to stay/],
    ["an encoder's layers of a decoder", 2, 2, /a model of type llama has no encoder; leave its layers out/],
  ])("is refused for %s", async (_, decoder, encoder, message) => {
    await saveModel(place("whole"), smallModel(deep(smallConfigs.llama)));
    await expect(planShrink(place("whole"), decoder, encoder)).rejects.toThrow(message);
  });

  it("is refused where a layer's place decides what it computes and no key can say so", async () => {
    await saveModel(place("whole"), smallModel(deep(smallConfigs.gpt2)));
    await expect(planShrink(place("whole"), [0, 2])).rejects.toThrow(
      /config\.json: scale_attn_by_inverse_layer_idx is true: what a layer computes goes by its place, .*keep the first ones alone \(--keep 0-1\)/,
    );
  });
});
