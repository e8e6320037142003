import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openClassifier } from "../../../../../../services/shared/ml/classification/open-classifier.js";
import { float32 } from "../../../../../../services/shared/ml/graph/tensor.js";
import { saveOnnx } from "../../../../../../services/shared/ml/models/files/export-onnx.js";
import { loadHead } from "../../../../../../services/shared/ml/models/files/load-head.js";
import { loadModel, saveModel } from "../../../../../../services/shared/ml/models/files/model-files.js";
import type { Model } from "../../../../../../services/shared/ml/models/model.js";
import type { Weights } from "../../../../../../services/shared/ml/models/param-spec.js";
import { encodeSafetensors } from "../../../../../support/models/encode-safetensors.js";
import { smallT5, t5Configs } from "../../../../../support/models/small-t5.js";

const tied = smallT5();
const untied = smallT5(t5Configs["flan-t5"]);
const data = (weights: Weights, name: string) => [...weights.get(name)!.data];

describe("a T5's directory", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-t5-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  /** The directory of a model, with other weights and keys of its config. */
  const save = async (model: Model, weights: Weights = model.params, keys: Readonly<Record<string, unknown>> = {}) => {
    await saveModel(directory, model);
    await writeFile(join(directory, "model.safetensors"), Buffer.concat([...encodeSafetensors(weights)]));
    await writeFile(join(directory, "config.json"), JSON.stringify({ ...model.rawConfig, ...keys }));
  };

  it.each([tied, untied])("comes back as it was saved", async (model) => {
    await saveModel(directory, model);
    const found = await loadModel(directory);
    expect(found.config).toEqual({ ...model.config, bosId: 1 });
    expect([...found.params.keys()].sort()).toEqual([...model.params.keys()].sort());
    for (const name of model.params.keys()) expect(data(found.params, name)).toEqual(data(model.params, name));
  });

  it("has its own head where its file has one, whatever its config says, and is scaled as that says", async () => {
    await save(untied, untied.params, { tie_word_embeddings: true, scale_decoder_outputs: false });
    const found = await loadModel(directory);
    expect(found.config).toMatchObject({ tieWordEmbeddings: false, logitScale: 1 });
    expect(found.warnings).toEqual([]);
    expect(found.rawConfig).toMatchObject({ tie_word_embeddings: false, scale_decoder_outputs: false });
    expect([...(await loadHead(directory)).data]).toEqual(data(untied.params, "lm_head.weight"));
    await saveModel(join(directory, "again"), found);
    expect((await loadModel(join(directory, "again"))).config).toEqual(found.config);
  });

  it.each([
    ["has none", tied.params],
    ["has an equal one", new Map([...tied.params, ["lm_head.weight", tied.params.get("shared.weight")!]])],
  ])("ties its head where its file %s", async (_, weights) => {
    await save(tied, weights, { tie_word_embeddings: false });
    const found = await loadModel(directory);
    // Without the flag, transformers does not scale what the tied head reads.
    expect(found.config).toMatchObject({ tieWordEmbeddings: true, logitScale: 1 });
    expect(found.params.has("lm_head.weight")).toBe(false);
    await saveModel(join(directory, "again"), found);
    expect((await loadModel(join(directory, "again"))).config).toEqual(found.config);
  });

  it("may hold copies of the embedding, and biases that nothing reads, as older files do", async () => {
    const shared = tied.params.get("shared.weight")!;
    const old = new Map(tied.params);
    for (const part of ["encoder", "decoder"]) old.set(`${part}.embed_tokens.weight`, shared);
    old.set("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight", float32(new Float32Array(32), [8, 4]));
    await save(tied, old);
    expect([...(await loadModel(directory)).params.keys()].sort()).toEqual([...tied.params.keys()].sort());
    old.delete("shared.weight");
    await save(tied, old);
    expect(data((await loadModel(directory)).params, "shared.weight")).toEqual([...shared.data]);
  });

  it("is refused where encoder and decoder have embeddings of their own", async () => {
    const { dims, data } = tied.params.get("shared.weight")!;
    const other = float32(
      data.map((x) => x + 1),
      dims,
    );
    await save(tied, new Map([...tied.params, ["encoder.embed_tokens.weight", other]]));
    await expect(loadModel(directory)).rejects.toThrow(/tensor encoder\.embed_tokens\.weight differs from shared\.weight/);
  });

  it("is no ONNX file and no classifier, and both say what is", async () => {
    await saveModel(directory, tied);
    await expect(saveOnnx(join(directory, "onnx"), tied)).rejects.toThrow(
      /a model of type t5 is an encoder-decoder; export it as a Hugging Face/,
    );
    const options = { device: "cpu", threads: 1, batchTokens: 10 } as const;
    await expect(openClassifier(directory, options)).rejects.toThrow(/is an encoder-decoder; classifiers here are decoders.*runs as ONNX/);
  });
});
