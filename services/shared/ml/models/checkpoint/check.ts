import { join } from "node:path";
import { architectureOf } from "../architectures/table.js";
import { configWarnings } from "../config/keys.js";
import type { ModelConfig } from "../config/model-config.js";
import { checkWeights } from "../model.js";
import { paramSpecs } from "../model-params.js";
import { parseConfig } from "../parse-config.js";
import { checkElementType } from "../safetensors/widen.js";
import { type OpenedAdapter, openAdapter } from "./adapter.js";
import { refusePointers } from "./diagnose.js";
import { readModelJson } from "./model-json.js";
import { nameTensors } from "./names.js";
import { type Checkpoint, openCheckpoint, type StoredTensor } from "./open.js";
import { type PlacedHead, placeHead, withoutCopies } from "./place-head.js";
import { placesOf } from "./places.js";

/** The config.json of a model directory, or of an adapter's base model, alone. @throws NotFound or InvalidArgument naming the file, the field and the way out */
export async function readConfig(directory: string): Promise<ModelConfig> {
  const { model } = await placesOf(directory);
  return parseConfig(await readModelJson(model, "config.json"), {}, join(model, "config.json"));
}

/** What the files of a model directory say, before a weight is read. */
export interface OpenedModel {
  readonly config: ModelConfig;
  readonly rawConfig: Readonly<Record<string, unknown>>;
  readonly generation: Readonly<Record<string, unknown>>;
  readonly checkpoint: Checkpoint;
  /** By the names of a model of this config. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly warnings: readonly string[];
  /** What is put on the model, where the directory is an adapter's; all else is then its base model's. */
  readonly adapter?: OpenedAdapter;
}

/**
 * Opens a Hugging Face directory: its config, and where its weights are. An adapter's is refused.
 *
 * @throws NotFound, DataLoss or InvalidArgument naming the file, the field or tensor, and the way out
 */
export async function openModel(directory: string): Promise<OpenedModel> {
  await refusePointers(directory);
  const rawConfig = await readModelJson(directory, "config.json");
  const generation = await readModelJson(directory, "generation_config.json", {});
  const config = parseConfig(rawConfig, generation, join(directory, "config.json"));
  const checkpoint = await openCheckpoint(directory);
  const tensors = nameTensors(checkpoint, config);
  const { keys, className } = architectureOf(config);
  const warnings = [...configWarnings(rawConfig, keys.read, className, config.maxPositions), ...checkpoint.warnings].map(
    (warning) => `${directory}: ${warning}`,
  );
  return { config, rawConfig, generation, checkpoint, tensors, warnings };
}

/**
 * Opens a directory as a language model, with its head in its place and every tensor that its config calls for. It may be the
 * directory of a PEFT adapter whose base model is a directory of this machine.
 *
 * @param ownBase as `base` of {@link placesOf}
 */
export async function openLanguageModel(directory: string, ownBase?: string): Promise<OpenedModel> {
  const { model, adapter } = await placesOf(directory, ownBase);
  const base = await openWhole(model);
  if (!adapter) return base;
  await refusePointers(adapter.directory);
  const warnings = [...base.warnings, ...adapter.config.warnings];
  return { ...base, warnings, adapter: await openAdapter(adapter.directory, adapter.config, base.config) };
}

async function openWhole(directory: string): Promise<OpenedModel> {
  const opened = await openModel(directory);
  const placed = await checkCheckpoint(opened);
  const rawConfig =
    placed.config.tieWordEmbeddings === opened.config.tieWordEmbeddings
      ? opened.rawConfig
      : { ...opened.rawConfig, ...spelledHead(placed.config) };
  return { ...opened, ...placed, rawConfig, warnings: [...opened.warnings, ...placed.warnings] };
}

/** What a config.json says of a model's head. */
const spelledHead = (config: ModelConfig): Readonly<Record<string, unknown>> =>
  architectureOf(config).spellHead?.(config) ?? { tie_word_embeddings: config.tieWordEmbeddings };

/**
 * Checks by the headers alone that a directory has every weight of its config, whole, with its shape, and of a type that
 * can be read.
 *
 * @throws InvalidArgument or DataLoss naming directory and tensor
 */
export async function checkCheckpoint({ config, tensors, checkpoint }: OpenedModel): Promise<PlacedHead> {
  for (const { path, stored, entry } of tensors.values()) checkElementType(entry.dtype, `${path}: tensor ${stored}`);
  const placed = await placeHead(config, await withoutCopies(config, tensors, checkpoint.directory), checkpoint.directory);
  const shapes = new Map([...placed.tensors].map(([name, { entry }]) => [name, { dims: entry.shape }]));
  checkWeights(paramSpecs(placed.config), shapes, checkpoint.directory);
  return placed;
}
