// Dimensions: B batch, T position, C classes.
import { dirname } from "node:path";
import { RetortError } from "../../base/errors.js";
import type { Tensor } from "../graph/tensor.js";
import { readModelJson } from "../models/load-tensor.js";
import { Session } from "../runtime/session.js";
import { type EncodedText, Tokenizer } from "../text/tokenizer.js";
import { labelsIn } from "./labels.js";
import { type ClassifierOptions, inBatches, type TextClassifier } from "./text-classifier.js";

/** Inputs of exported classifiers by the names that transformers and Optimum give them: what each holds at a token, and in padding. */
const inputs: Readonly<Record<string, (text: EncodedText, t: number) => number>> = {
  attention_mask: ({ ids }, t) => (t < ids.length ? 1 : 0),
  input_ids: ({ ids }, t) => ids[t] ?? 0,
  token_type_ids: ({ typeIds }, t) => typeIds[t] ?? 0,
};

/**
 * Opens a classifier that some other program exported as ONNX: inputs input_ids, attention_mask and, if it has it,
 * token_type_ids, all int64 [B, T]; output logits [B, C]. tokenizer.json must lie beside the file; the names of the classes
 * come from config.json, if that does too.
 *
 * @throws NotFound or InvalidArgument naming the file, what it has and what is needed
 */
export async function openOnnxClassifier(path: string, options: ClassifierOptions): Promise<TextClassifier> {
  const directory = dirname(path);
  const tokenizer = await Tokenizer.load(directory);
  const raw = await readModelJson(directory, "config.json", {});
  const session = await Session.load(path, options);
  const { inputNames, outputNames } = session;
  const foreign = inputNames.find((name) => !inputs[name]);
  const lacks = !inputNames.includes("input_ids") || !outputNames.includes("logits");
  if (foreign || lacks) {
    await session.release();
    throw new RetortError(
      "InvalidArgument",
      `${path} has inputs ${inputNames.join(", ")} and outputs ${outputNames.join(", ")}; a classifier takes input_ids, attention_mask and perhaps token_type_ids, and gives logits`,
    );
  }
  const forward = async (texts: readonly EncodedText[]): Promise<Tensor> => {
    const { logits } = await session.run(Object.fromEntries(inputNames.map((name) => [name, column(texts, inputs[name]!)])));
    if (logits!.dtype === "float32" && logits!.dims.length === 2) return logits!;
    throw new RetortError("InvalidArgument", `${path}: logits are ${logits!.dtype} [${logits!.dims}]; a classifier gives float32 [B, C]`);
  };
  const classes = (await forward([tokenizer.encodeText("")].map(atLeastOne))).dims[1]!;
  return {
    labels: labelsIn(raw, classes),
    tokenizer,
    maxPositions: typeof raw.max_position_embeddings === "number" ? raw.max_position_embeddings : undefined,
    logits: (texts) => inBatches(texts, options.batchTokens, forward),
    release: () => session.release(),
  };
}

/** One input of a batch, [B, T]. */
function column(texts: readonly EncodedText[], at: (text: EncodedText, t: number) => number): Tensor {
  const time = Math.max(...texts.map(({ ids }) => ids.length));
  const data = BigInt64Array.from({ length: texts.length * time }, (_, i) => BigInt(at(texts[Math.floor(i / time)]!, i % time)));
  return { dtype: "int64", dims: [texts.length, time], data };
}

const atLeastOne = (text: EncodedText): EncodedText => (text.ids.length ? text : { ids: Int32Array.of(0), typeIds: Int32Array.of(0) });
