import { constants } from "node:fs";
import { access, copyFile, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { RetortError } from "../../base/errors.js";
import { type FileBytes, piecesOf } from "../../base/file-bytes.js";
import { writeAtomically } from "../../base/write-atomically.js";
import type { Tensor } from "../graph/tensor.js";
import { Tokenizer } from "../text/tokenizer.js";
import { parseConfig } from "./config.js";
import { readModelJson } from "./load-tensor.js";
import { checkWeights, type Model } from "./model.js";
import { paramSpecs } from "./params.js";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.js";
import { readTensors } from "./safetensors-file.js";

type Json = Record<string, unknown>;

/**
 * Loads the language model of a Hugging Face directory: config.json, model.safetensors (or shards with their index),
 * tokenizer.json, and, where present, tokenizer_config.json and generation_config.json.
 *
 * @throws NotFound or InvalidArgument naming the file, the field or tensor, and the way out
 */
export async function loadModel(directory: string): Promise<Model> {
  const model = await readModel(directory);
  const params = new Map(model.params);
  // Some exporters store the tied head a second time.
  if (model.config.tieWordEmbeddings) params.delete("lm_head.weight");
  checkWeights(paramSpecs(model.config), params, directory);
  return { ...model, params };
}

/** Reads a Hugging Face directory with whatever weights it has; see {@link loadModel}. */
export async function readModel(directory: string): Promise<Model> {
  const rawConfig = await readModelJson(directory, "config.json");
  const generation = await readModelJson(directory, "generation_config.json", {});
  const config = parseConfig(rawConfig, generation, join(directory, "config.json"));
  const params = await readWeights(directory);
  for (const name of params.keys()) if (name.endsWith(".rotary_emb.inv_freq")) params.delete(name);
  const tokenizer = await Tokenizer.load(directory);
  return { config: withTokenizerIds(config, tokenizer), params, tokenizer, rawConfig: { ...rawConfig, ...carried(generation) } };
}

/**
 * A model from the files of its directory, held in memory: config.json, model.safetensors, tokenizer.json and, where
 * there is one, tokenizer_config.json.
 */
export function modelFromFiles(files: Readonly<Record<string, FileBytes>>): Model {
  const text = (name: string) => (files[name] ? Buffer.concat(piecesOf(files[name])).toString() : undefined);
  const rawConfig = JSON.parse(text("config.json") ?? "{}") as Json;
  const config = parseConfig(rawConfig);
  const params = decodeSafetensors(files["model.safetensors"] ?? new Uint8Array());
  checkWeights(paramSpecs(config), params, "model.safetensors");
  const names = ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];
  const tokenizer = new Tokenizer(Object.fromEntries(names.flatMap((name) => (files[name] ? [[name, text(name)!]] : []))));
  return { config: withTokenizerIds(config, tokenizer), params, tokenizer, rawConfig };
}

/** The inverse of {@link modelFromFiles}. */
export function modelToFiles(model: Model): Record<string, FileBytes> {
  const texts = { ...model.tokenizer.files, "config.json": `${JSON.stringify(model.rawConfig, null, 2)}\n` };
  const encoded = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, new Uint8Array(Buffer.from(text))]));
  return { ...encoded, "model.safetensors": [...encodeSafetensors(model.params)] };
}

const carried = (generation: Json): Json => (generation.eos_token_id === undefined ? {} : { eos_token_id: generation.eos_token_id });

function withTokenizerIds(config: Model["config"], tokenizer: Tokenizer): Model["config"] {
  return {
    ...config,
    bosId: config.bosId ?? tokenizer.specials.bosId,
    eosIds: config.eosIds.length ? config.eosIds : tokenizer.specials.eosId === undefined ? [] : [tokenizer.specials.eosId],
    padId: config.padId ?? tokenizer.specials.padId,
  };
}

async function readWeights(directory: string): Promise<Map<string, Tensor<"float32">>> {
  const single = join(directory, "model.safetensors");
  if (await exists(single)) return readTensors(single);
  if (!(await exists(join(directory, "model.safetensors.index.json")))) {
    throw new RetortError(
      "NotFound",
      `${directory} has no model.safetensors (nor model.safetensors.index.json); save the model with safe_serialization=True`,
    );
  }
  const index = (await readModelJson(directory, "model.safetensors.index.json")) as { weight_map?: Record<string, string> };
  const params = new Map<string, Tensor<"float32">>();
  for (const shard of new Set(Object.values(index.weight_map ?? {}))) {
    for (const [name, tensor] of await readTensors(join(directory, shard))) params.set(name, tensor);
  }
  return params;
}

/** Files beside the weights that are copied when a model is saved next to where it came from. */
const companions = ["generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"];

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
  await mkdir(directory, { recursive: true });
  for (const file of from ? (await readdir(from)).filter((name) => companions.includes(name)) : [])
    await copyFile(join(from!, file), join(directory, file));
  if (!from)
    for (const [name, text] of Object.entries(model.tokenizer.files)) await writeAtomically(join(directory, name), Buffer.from(text));
  await writeAtomically(join(directory, "config.json"), Buffer.from(`${JSON.stringify(model.rawConfig, null, 2)}\n`));
}

async function exists(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}
