import { copyFile, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type FileBytes, piecesOf } from "../../../base/file-bytes.js";
import { found } from "../../../base/found.js";
import { makeDirectory } from "../../../base/make-directory.js";
import { writeAtomically } from "../../../base/write-atomically.js";
import { endsOf } from "../../text/ends.js";
import { isTokenizerFile, Tokenizer, tokenizerPaths } from "../../text/tokenizer.js";
import { type OpenedModel, openLanguageModel, openModel } from "../checkpoint/check.js";
import { parseModelJson } from "../checkpoint/model-json.js";
import { readStored } from "../checkpoint/read.js";
import { configText } from "../config/config-text.js";
import { exportedConfig } from "../exported-config.js";
import { checkWeights, type Model } from "../model.js";
import { paramSpecs } from "../model-params.js";
import { parseConfig } from "../parse-config.js";
import { decodeSafetensors, encodeSafetensors } from "../safetensors/safetensors.js";

type Json = Readonly<Record<string, unknown>>;

/**
 * Loads the language model of a Hugging Face directory: config.json, model.safetensors (or shards with their index),
 * tokenizer.json, and, where present, tokenizer_config.json and generation_config.json.
 *
 * @throws NotFound or InvalidArgument naming the file, the field or tensor, and the way out
 */
export async function loadModel(directory: string): Promise<Model> {
  return readOpened(directory, await openLanguageModel(directory));
}

/** Reads a Hugging Face directory with whatever weights it has; see {@link loadModel}. */
export async function readModel(directory: string): Promise<Model> {
  return readOpened(directory, await openModel(directory));
}

async function readOpened(directory: string, { config, rawConfig, generation, tensors, warnings }: OpenedModel): Promise<Model> {
  const tokenizer = await Tokenizer.load(directory);
  const params = await readStored(tensors);
  return { config: withTokenizerIds(config, tokenizer), params, tokenizer, rawConfig: { ...rawConfig, ...carried(generation) }, warnings };
}

/**
 * A model from the files of its directory, held in memory: config.json, model.safetensors, tokenizer.json and, where
 * there is one, tokenizer_config.json.
 */
export function modelFromFiles(files: Readonly<Record<string, FileBytes>>): Model {
  const bytes = (name: string) => files[name] && Buffer.concat(piecesOf(files[name]));
  const rawConfig = parseModelJson(bytes("config.json") ?? Buffer.from("{}"), "config.json");
  const config = parseConfig(rawConfig);
  const params = decodeSafetensors(files["model.safetensors"] ?? new Uint8Array());
  checkWeights(paramSpecs(config), params, "model.safetensors");
  const names = Object.keys(files).filter((name) => isTokenizerFile(name) || name === "config.json");
  const tokenizer = new Tokenizer(Object.fromEntries(names.map((name) => [name, found(bytes(name), name).toString()])));
  return { config: withTokenizerIds(config, tokenizer), params, tokenizer, rawConfig };
}

/** The inverse of {@link modelFromFiles}. */
export function modelToFiles(model: Model): Record<string, FileBytes> {
  const texts = { ...model.tokenizer.files, "config.json": configOf(model) };
  const encoded = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, new Uint8Array(Buffer.from(text))]));
  return { ...encoded, "model.safetensors": [...encodeSafetensors(model.params)] };
}

const configOf = (model: Omit<Model, "params">): string => configText(exportedConfig(model.rawConfig));

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
 * Saves a model as a Hugging Face directory. Every file is written beside its name and renamed, the weights last, so
 * that a directory with weights is complete.
 *
 * @param from the directory the model came from: its tokenizer and generation files are copied as they are
 */
export async function saveModel(directory: string, model: Model, from?: string): Promise<void> {
  await saveCompanions(directory, model, from);
  await writeAtomically(join(directory, "model.safetensors"), encodeSafetensors(model.params));
}

/** Saves what a model directory holds besides the weights: config, tokenizer, generation settings. */
export async function saveCompanions(directory: string, model: Omit<Model, "params">, from?: string): Promise<void> {
  await makeDirectory(directory);
  if (from) await copyCompanions(from, directory);
  else
    for (const [name, text] of Object.entries(model.tokenizer.files)) {
      await makeDirectory(dirname(join(directory, name)));
      await writeAtomically(join(directory, name), Buffer.from(text));
    }
  await writeAtomically(join(directory, "config.json"), Buffer.from(configOf(model)));
}

/** Copies a model's tokenizer and generation files as they are. */
async function copyCompanions(from: string, directory: string): Promise<void> {
  const beside = (await readdir(from)).filter((name) => name === "generation_config.json");
  for (const file of [...(await tokenizerPaths(from)), ...beside]) {
    await makeDirectory(dirname(join(directory, file)));
    await copyFile(join(from, file), join(directory, file));
  }
}
