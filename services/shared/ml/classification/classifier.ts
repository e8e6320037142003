import { join } from "node:path";
import { RetortError } from "../../base/errors.js";
import { normals } from "../../base/random.js";
import { writeAtomically } from "../../base/write-atomically.js";
import { float32 } from "../graph/tensor.js";
import { architectureOf } from "../models/architectures/table.js";
import { readModelJson } from "../models/checkpoint/model-json.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { readModel, saveCompanions } from "../models/files/model-files.js";
import { checkWeights, type Model } from "../models/model.js";
import { bodySpecs, classHead } from "../models/model-params.js";
import type { ParamSpec } from "../models/param-spec.js";
import { writeShards, writtenTensors } from "../models/safetensors/write-shards.js";
import { labelsIn } from "./labels.js";

/** A decoder that tells classes apart, as Hugging Face's `…ForSequenceClassification` saves it: `score.weight` [C, D] in the place of the head. */
export interface Classifier extends Model {
  /** Name of each class, in the order of the logits. */
  readonly labels: readonly string[];
}

/** Name and dimensions of every weight of a classifier. */
export const classifierSpecs = (config: ModelConfig, classes: number): ParamSpec[] => [
  ...bodySpecs(config),
  { name: classHead, dims: [classes, config.hiddenSize], kind: "matrix" },
];

/**
 * Loads a classifier from a Hugging Face directory.
 *
 * @throws NotFound or InvalidArgument naming the file, the field or tensor, and the way out
 */
export async function loadClassifier(directory: string): Promise<Classifier> {
  const model = await readModel(directory);
  const params = new Map(model.params);
  // transformers, too, passes over a head that was left in.
  params.delete(architectureOf(model.config).head);
  const score = params.get(classHead);
  if (!score) throw noClassifier(directory);
  const labels = labelsIn(model.rawConfig, score.dims[0]!);
  checkWeights(classifierSpecs(model.config, labels.length), params, directory);
  return { ...model, params, labels };
}

/** Why a model directory is no classifier. */
export const noClassifier = (directory: string): RetortError =>
  new RetortError(
    "InvalidArgument",
    `${directory} has no tensor ${classHead}, so it is no classifier; train one with \`retort train-classifier\`, or save one with a …ForSequenceClassification class of transformers`,
  );

/** A classifier to be trained: a language model without its head, and class weights from N(0, initializer_range²). */
export function withClasses({ config, params, tokenizer, rawConfig }: Model, labels: readonly string[], seed: bigint): Classifier {
  const weights = new Map(params);
  weights.delete(architectureOf(config).head);
  const dims = [labels.length, config.hiddenSize];
  weights.set(classHead, float32(normals(seed, labels.length * config.hiddenSize, config.initializerRange), dims));
  const raw = {
    ...rawConfig,
    architectures: [`${architectureOf(config).className}ForSequenceClassification`],
    id2label: Object.fromEntries(labels.map((label, i) => [i, label])),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
    pad_token_id: paddingOf(config),
  };
  return { config, params: weights, tokenizer, rawConfig: raw, labels };
}

/** transformers refuses batches without a pad token. Where a model has none its end token serves, as is usual. */
function paddingOf({ padId, eosIds }: ModelConfig): number {
  const found = padId ?? eosIds[0];
  if (found !== undefined) return found;
  throw new RetortError("InvalidArgument", "the model has neither a pad nor an end token; set pad_token_id in its config.json");
}

/** Saves a classifier as a Hugging Face directory; see {@link saveModel}. Its tokenizer then has a pad token, too. */
export async function saveClassifier(directory: string, classifier: Classifier, from?: string): Promise<void> {
  const { tokenizer, rawConfig } = classifier;
  await saveCompanions(directory, classifier, from);
  if (tokenizer.specials.padId === undefined) {
    const config = await readModelJson(directory, "tokenizer_config.json", {});
    const pad_token = tokenizer.decode([rawConfig.pad_token_id as number], { skipSpecial: false });
    await writeAtomically(join(directory, "tokenizer_config.json"), Buffer.from(`${JSON.stringify({ ...config, pad_token }, null, 2)}\n`));
  }
  await writeShards(directory, writtenTensors(classifier.params));
}
