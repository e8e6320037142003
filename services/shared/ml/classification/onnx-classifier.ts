// Dimensions: B batch, T position, C classes.
import { dirname } from "node:path";
import { RetortError } from "../../base/errors.js";
import type { Tensor } from "../graph/tensor.js";
import { readModelJson } from "../models/checkpoint/model-json.js";
import { outputOf } from "../runtime/outputs.js";
import { Session } from "../runtime/session.js";
import { type EncodedText, Tokenizer } from "../text/tokenizer.js";
import { paddingId } from "./class-logits.js";
import { labelsIn } from "./labels.js";
import { type ClassifierOptions, inBatches, isMultiLabel, lengthObstacle, type TextClassifier } from "./text-classifier.js";

/** Inputs of exported classifiers by the names that transformers and Optimum give them: what each holds at a place of a text, or in its padding. */
const inputs: Readonly<Record<string, (text: EncodedText, t: number, padId: number) => number>> = {
  attention_mask: ({ ids }, t) => (t < ids.length ? 1 : 0),
  input_ids: ({ ids }, t, padId) => ids[t] ?? padId,
  position_ids: (_, t) => t,
  token_type_ids: ({ typeIds }, t) => typeIds[t] ?? 0,
};

/**
 * Opens a classifier that some other program exported as ONNX: inputs input_ids and, if it has them, attention_mask,
 * token_type_ids and position_ids, all int64 [B, T]; output logits float32 [B, C]. tokenizer.json must lie beside the file;
 * the names of the classes come from config.json, if that does too.
 *
 * @throws NotFound or InvalidArgument naming the file, what it has and what is needed
 */
export async function openOnnxClassifier(path: string, options: ClassifierOptions): Promise<TextClassifier> {
  const directory = dirname(path);
  const tokenizer = await Tokenizer.load(directory);
  const raw = await readModelJson(directory, "config.json", {});
  const padId = paddingId({ rawConfig: raw }) ?? tokenizer.specials.padId;
  const session = await Session.load(path, options);
  const forward = async (texts: readonly EncodedText[]): Promise<Tensor> => {
    const outputs = await session.run(Object.fromEntries(session.inputNames.map((name) => [name, column(texts, name, padId ?? 0)])));
    const logits = outputOf(outputs, "logits");
    if (logits.dtype === "float32" && logits.dims.length === 2) return logits;
    throw new RetortError("InvalidArgument", `${path}: logits are ${logits.dtype} [${logits.dims}]; a classifier gives float32 [B, C]`);
  };
  try {
    checkNames(path, session);
    const probe = tokenizer.encodeText("a");
    const classes = (await explained(path, forward([probe.ids.length ? probe : { ids: Int32Array.of(0), typeIds: Int32Array.of(0) }])))
      .dims[1]!;
    const positions = positionsOf(raw, tokenizer, padId);
    // A model that is not told what is padding may look for it by the pad token; without one, it cannot be known.
    const padded = padId !== undefined && session.inputNames.includes("attention_mask");
    return {
      ...{ labels: labelsIn(raw, classes), multiLabel: isMultiLabel(raw), tokenizer },
      obstacle: (text) => lengthObstacle(text, positions),
      logits: (texts) => explained(path, inBatches(texts, options.batchTokens, forward, padded)),
      release: () => session.release(),
    };
  } catch (error) {
    await session.release();
    throw error;
  }
}

function checkNames(path: string, { inputNames, outputNames }: Session): void {
  if (inputNames.every((name) => inputs[name]) && inputNames.includes("input_ids") && outputNames.includes("logits")) return;
  throw new RetortError(
    "InvalidArgument",
    `${path} has inputs ${inputNames.join(", ")} and outputs ${outputNames.join(", ")}; a classifier takes input_ids and perhaps ${Object.keys(
      inputs,
    )
      .filter((name) => name !== "input_ids")
      .join(", ")}, and gives logits`,
  );
}

/** What the runtime says of a foreign model is about that model. */
async function explained<T>(path: string, result: Promise<T>): Promise<T> {
  return result.catch((error: unknown) => {
    throw error instanceof RetortError
      ? error
      : new RetortError("InvalidArgument", `${path}: ${(error as Error).message}`, { cause: error });
  });
}

/** Architectures whose positions count from behind the pad token's id. */
const shifted = ["camembert", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl"];

/** Most tokens of a text: what config.json and the tokenizer allow. */
function positionsOf(raw: Readonly<Record<string, unknown>>, { maxTokens }: Tokenizer, padId = 0): number {
  const { max_position_embeddings: embeddings, model_type: type } = raw;
  const own = typeof embeddings === "number" ? embeddings - (shifted.includes(String(type)) ? padId + 1 : 0) : Number.POSITIVE_INFINITY;
  return Math.min(own, maxTokens ?? Number.POSITIVE_INFINITY);
}

/** One input of a batch, [B, T]. */
function column(texts: readonly EncodedText[], name: string, padId: number): Tensor {
  const time = Math.max(...texts.map(({ ids }) => ids.length));
  const at = inputs[name]!;
  const data = BigInt64Array.from({ length: texts.length * time }, (_, i) => BigInt(at(texts[Math.floor(i / time)]!, i % time, padId)));
  return { dtype: "int64", dims: [texts.length, time], data };
}
