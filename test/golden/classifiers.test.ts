import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadClassifier, saveClassifier, withClasses } from "../../services/shared/ml/classification/classifier.js";
import { inspectClassifier, openClassifier } from "../../services/shared/ml/classification/open-classifier.js";
import { loadModel, saveModel } from "../../services/shared/ml/models/files/model-files.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { classifierFixture, modelFixture } from "../support/models/fixtures.js";

const options = { device: "cpu", threads: 1, batchTokens: 32 } as const;

interface Golden {
  readonly inputs: readonly (readonly [string, string?])[];
  readonly logits: readonly (readonly number[])[];
}

const goldenOf = async (name: string): Promise<Golden> => JSON.parse(await readFile(join(classifierFixture(name), "golden.json"), "utf8"));

async function logitsOf(path: string, inputs: Golden["inputs"]): Promise<number[][]> {
  const classifier = await openClassifier(path, options);
  try {
    const found = await classifier.logits(inputs.map(([text, pair]) => classifier.tokenizer.encodeText(text, pair)));
    return found.map((row) => Array.from(row));
  } finally {
    await classifier.release();
  }
}

describe.each([
  ["llama", "", ["bad", "so-so", "good"]],
  ["qwen3", "", ["LABEL_0"]],
  ["encoder", "model.onnx", ["contradiction", "neutral", "entailment"]],
  // Its graph looks for the end of a text by a pad token other than 0.
  ["decoder", "model.onnx", ["LABEL_0", "LABEL_1"]],
])("the %s classifier, against transformers", (name, file, labels) => {
  const path = join(classifierFixture(name), file);

  it("has the same logits, whatever else is in the batch", async () => {
    const { inputs, logits } = await goldenOf(name);
    expectAllClose((await logitsOf(path, inputs)).flat(), logits.flat(), { rtol: 0, atol: 1e-4 }, "logits");
  });

  it("has the same classes, opened or only looked at", async () => {
    const classifier = await openClassifier(path, options);
    await classifier.release();
    expect(classifier.labels).toEqual(labels);
    // What an exported model has without a config.json that names it, only a run tells.
    expect(await inspectClassifier(path)).toEqual(name === "decoder" ? undefined : labels);
  });
});

describe("a classifier's directory", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-classifier-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it("comes back from a save as it was, with the fields that transformers reads", async () => {
    const from = modelFixture("llama");
    const made = withClasses(await loadModel(from), ["no", "yes"], 3n);
    await saveClassifier(directory, made, from);
    const back = await loadClassifier(directory);
    expect(back.labels).toEqual(["no", "yes"]);
    expect([...back.params.keys()].sort()).toEqual([...made.params.keys()].sort());
    expect(back.params.get("score.weight")).toEqual(made.params.get("score.weight"));
    expect(JSON.parse(await readFile(join(directory, "config.json"), "utf8"))).toMatchObject({
      architectures: ["LlamaForSequenceClassification"],
      id2label: { 0: "no", 1: "yes" },
      label2id: { no: 0, yes: 1 },
      pad_token_id: 0,
    });
  });

  it("gets a pad token where the model has none, in config and tokenizer, since transformers needs one for batches", async () => {
    const [from, to] = [join(directory, "padless"), join(directory, "padded")];
    await cp(modelFixture("llama"), from, { recursive: true });
    for (const name of ["config.json", "generation_config.json", "tokenizer_config.json"]) {
      const { pad_token, pad_token_id, ...rest } = JSON.parse(await readFile(join(from, name), "utf8"));
      await writeFile(join(from, name), JSON.stringify(rest));
    }
    await saveClassifier(to, withClasses(await loadModel(from), ["no", "yes"], 3n), from);
    expect(JSON.parse(await readFile(join(to, "config.json"), "utf8")).pad_token_id).toBe(2);
    expect(JSON.parse(await readFile(join(to, "tokenizer_config.json"), "utf8")).pad_token).toBe("</s>");
  });

  it("may still have the head that it does not use, and lie in shards", async () => {
    const kept = join(directory, "kept");
    const model = await loadModel(modelFixture("llama"));
    const made = withClasses(model, ["no", "yes"], 3n);
    const params = new Map(made.params).set("lm_head.weight", model.params.get("lm_head.weight")!);
    await saveModel(kept, { ...made, params }, modelFixture("llama"));
    expect((await loadClassifier(kept)).params.has("lm_head.weight")).toBe(false);
    // A sharded language model: the tensor is in no file of the index.
    await expect(inspectClassifier(modelFixture("qwen3"))).rejects.toThrow(/qwen3 has no tensor score\.weight/);
  });

  it("says what is missing from one that is none", async () => {
    await expect(openClassifier("/nowhere", options)).rejects.toThrow(/there is no \/nowhere; name a classifier's/);
    for (const open of [openClassifier(modelFixture("llama"), options), inspectClassifier(modelFixture("llama"))])
      await expect(open).rejects.toThrow(/llama has no tensor score.weight, so it is no classifier; train one with/);
    await writeFile(join(directory, "config.json"), JSON.stringify({ model_type: "bert" }));
    for (const open of [openClassifier(directory, options), inspectClassifier(directory)])
      await expect(open).rejects.toThrow(/model_type is "bert".*any other classifier runs as ONNX: export it and name the \.onnx file/);
    const broken = join(directory, "broken");
    await cp(classifierFixture("encoder"), broken, { recursive: true });
    await writeFile(join(broken, "model.onnx"), "no model");
    await expect(openClassifier(join(broken, "model.onnx"), options)).rejects.toThrow(/model\.onnx cannot be opened as an ONNX model/);
    await rm(join(broken, "tokenizer.json"));
    await expect(inspectClassifier(join(broken, "model.onnx"))).rejects.toThrow(/has no tokenizer\.json/);
  });
});
