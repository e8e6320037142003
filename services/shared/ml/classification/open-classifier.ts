import { access } from "node:fs/promises";
import { dirname, join } from "node:path";
import { RetortError } from "../../base/errors.js";
import { architectureOf, requireDecoder } from "../models/architectures/table.js";
import { openModel } from "../models/checkpoint/check.js";
import { readModelJson } from "../models/checkpoint/model-json.js";
import { checkWeights } from "../models/model.js";
import { classHead } from "../models/model-params.js";
import { parseConfig } from "../models/parse-config.js";
import { Tokenizer } from "../text/tokenizer.js";
import { classifierSpecs, loadClassifier, noClassifier } from "./classifier.js";
import { decoderClassifier } from "./decoder-classifier.js";
import { labelsIn } from "./labels.js";
import { openOnnxClassifier } from "./onnx-classifier.js";
import type { ClassifierOptions, TextClassifier } from "./text-classifier.js";

/**
 * Opens a classifier: a Hugging Face directory of a supported decoder with `score.weight`, or an ONNX file with its
 * tokenizer beside it.
 *
 * @throws NotFound or InvalidArgument naming the file, the field or tensor, and the way out
 */
export async function openClassifier(path: string, options: ClassifierOptions): Promise<TextClassifier> {
  await checkThere(path);
  if (path.endsWith(".onnx")) return openOnnxClassifier(path, options);
  checkSupported(await readModelJson(path, "config.json"), path);
  return decoderClassifier(await loadClassifier(path), options);
}

/** Other architectures run as ONNX. */
function checkSupported(raw: Readonly<Record<string, unknown>>, directory: string): void {
  try {
    const config = parseConfig(raw, {}, join(directory, "config.json"));
    requireDecoder(config, directory, "classifiers here are decoders with score.weight");
  } catch (error) {
    const { message } = RetortError.from(error);
    throw new RetortError("InvalidArgument", `${message}; any other classifier runs as ONNX: export it and name the .onnx file`);
  }
}

/**
 * The classes of a classifier, without loading its weights or running it; undefined for an ONNX file with no config.json
 * beside it, which only a run tells.
 *
 * @throws NotFound or InvalidArgument naming the file, the field or tensor, and the way out
 */
export async function inspectClassifier(path: string): Promise<string[] | undefined> {
  await checkThere(path);
  const exported = path.endsWith(".onnx");
  const directory = exported ? dirname(path) : path;
  await Tokenizer.load(directory);
  if (exported) {
    const { id2label } = await readModelJson(directory, "config.json", {});
    return id2label ? labelsIn({ id2label }, Object.keys(id2label).length) : undefined;
  }
  const raw = await readModelJson(directory, "config.json");
  checkSupported(raw, directory);
  const { config, tensors } = await openModel(directory);
  const score = tensors.get(classHead);
  if (!score) throw noClassifier(directory);
  const labels = labelsIn(raw, score.entry.shape[0]!);
  const shapes = new Map(
    [...tensors].filter(([name]) => name !== architectureOf(config).head).map(([name, { entry }]) => [name, { dims: entry.shape }]),
  );
  checkWeights(classifierSpecs(config, labels.length), shapes, directory);
  return labels;
}

async function checkThere(path: string): Promise<void> {
  await access(path).catch(() => {
    throw new RetortError("NotFound", `there is no ${path}; name a classifier's Hugging Face directory, or an ONNX file`);
  });
}
