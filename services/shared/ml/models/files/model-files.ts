import { copyFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory } from "../../../base/make-directory.js";
import { writeAtomically } from "../../../base/write-atomically.js";
import { endsOf } from "../../text/ends.js";
import { Tokenizer } from "../../text/tokenizer.js";
import { mergedModel } from "../adapter/low-rank.js";
import { readAdapter } from "../checkpoint/adapter.js";
import { type OpenedModel, openLanguageModel, openModel } from "../checkpoint/check.js";
import { placesOf } from "../checkpoint/places.js";
import { readStored } from "../checkpoint/read.js";
import { placedWeights } from "../checkpoint/stored-weights.js";
import { configText } from "../config/config-text.js";
import type { Constants } from "../constants.js";
import { exportedConfig } from "../exported-config.js";
import type { Model } from "../model.js";
import { weightsAt } from "../precision/dtype.js";
import type { FloatDtype } from "../safetensors/widen.js";
import { type ShardOptions, type WrittenFile, writeShards, writtenTensors } from "../safetensors/write-shards.js";
import { saveTokenizer } from "./adapter-files.js";

type Json = Readonly<Record<string, unknown>>;

/**
 * Loads the language model of a Hugging Face directory: config.json, model.safetensors (or shards with their index),
 * tokenizer.json, and, where present, tokenizer_config.json and generation_config.json. The directory may be a PEFT adapter's:
 * its weights are then those of base and adapter together.
 *
 * @throws NotFound or InvalidArgument naming the file, the field or tensor, and the way out
 */
export async function loadModel(directory: string): Promise<Model> {
  return mergedModel(await loadAdaptable(directory));
}

/** As {@link loadModel}, with an adapter kept apart from the weights of its base. @param base as of {@link placesOf} */
export async function loadAdaptable(directory: string, base?: string): Promise<Model> {
  return readOpened(directory, await openLanguageModel(directory, base), base);
}

/** Reads a Hugging Face directory with whatever weights it has; see {@link loadModel}. An adapter's is refused. */
export async function readModel(directory: string): Promise<Model> {
  return readOpened(directory, await openModel(directory));
}

/**
 * As {@link loadAdaptable}, with the weights where they lie, in the element types that they have there: nothing of them is read.
 * Graphs take them by way of `weightsAt`; `identityOf` looks at their numbers.
 */
export async function mapModel(directory: string, base?: string): Promise<Model<Constants>> {
  const opened = await openLanguageModel(directory, base);
  return withWords(directory, opened, await placedWeights(opened.tensors), base);
}

async function readOpened(directory: string, opened: OpenedModel, base?: string): Promise<Model> {
  return withWords(directory, opened, await readStored(opened.tensors), base);
}

/** A model of a directory's files and its weights. */
async function withWords<W extends Constants>(directory: string, opened: OpenedModel, params: W, base?: string): Promise<Model<W>> {
  const { config, rawConfig, generation, warnings, adapter } = opened;
  const tokenizer = await loadTokenizer(directory, base);
  const raw = { ...rawConfig, ...carried(generation) };
  const model = { config: withTokenizerIds(config, tokenizer), params, tokenizer, rawConfig: raw, warnings };
  return adapter ? { ...model, adapter: await readAdapter(adapter) } : model;
}

/** Loads the tokenizer of a model directory; of a PEFT adapter's, its own or that of its base model. */
export async function loadTokenizer(directory: string, base?: string): Promise<Tokenizer> {
  const { tokenizer, model } = await placesOf(directory, base);
  return Tokenizer.load(tokenizer, model);
}

const configOf = (model: Omit<Model, "params">, dtype?: FloatDtype): string => configText(exportedConfig(model.rawConfig, dtype));

const carried = (generation: Json): Json => (generation.eos_token_id === undefined ? {} : { eos_token_id: generation.eos_token_id });

function withTokenizerIds(config: Model["config"], tokenizer: Tokenizer): Model["config"] {
  return {
    ...config,
    bosId: config.bosId ?? tokenizer.specials.bosId,
    eosIds: endsOf(tokenizer, config.eosIds).ids,
    padId: config.padId ?? tokenizer.specials.padId,
  };
}

/**
 * Saves a model as a Hugging Face directory: weights beyond 5 GB in shards. Every file is written beside its name and renamed,
 * the weights last, so that a directory with weights is complete.
 *
 * @param from the directory the model came from: its tokenizer and generation files are copied as they are
 * @param base of an adapter's directory, as of {@link placesOf}
 * @param options `dtype`: the element type of the weights, rounded to the nearest; default float32
 * @returns the files of the weights
 * @throws InvalidArgument naming a weight with a number that `dtype` can't hold
 */
export async function saveModel(
  directory: string,
  model: Model,
  from?: string,
  base?: string,
  { dtype, ...options }: ShardOptions & { readonly dtype?: FloatDtype } = {},
): Promise<WrittenFile[]> {
  const rounded = dtype && weightsAt(model.config, model.params, dtype);
  try {
    await saveCompanions(directory, model, from, base, dtype);
    return await writeShards(directory, writtenTensors(rounded?.weights ?? model.params), options);
  } finally {
    rounded?.close();
  }
}

/** Saves what a model directory holds besides the weights: config, tokenizer, generation settings. */
export async function saveCompanions(
  directory: string,
  model: Omit<Model, "params">,
  from?: string,
  base?: string,
  dtype?: FloatDtype,
): Promise<void> {
  await makeDirectory(directory);
  await saveTokenizer(directory, model.tokenizer, from, base);
  const origin = from === undefined ? undefined : (await placesOf(from, base)).model;
  if (origin !== undefined && (await readdir(origin)).includes(generationName))
    await copyFile(join(origin, generationName), join(directory, generationName));
  await writeAtomically(join(directory, "config.json"), Buffer.from(configOf(model, dtype)));
}

const generationName = "generation_config.json";
