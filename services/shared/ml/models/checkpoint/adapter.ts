import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { RetortError } from "../../../base/errors.js";
import { factorSpecs, layersOf, linearLayers } from "../adapter/layers.js";
import type { ModelConfig } from "../config/model-config.js";
import type { Adapter, Lora } from "../lora.js";
import { checkElementType } from "../safetensors/widen.js";
import { publishedFiles } from "../trainable.js";
import { isAdapter, namesIn } from "./diagnose.js";
import { readModelJson } from "./model-json.js";
import { type StoredTensor, tensorsOf } from "./open.js";
import { type AdapterConfig, adapterConfigName, parseAdapterConfig } from "./peft-config.js";
import { readStored } from "./read.js";

const weightsName = publishedFiles.adapter;

/** An adapter's directory that was looked at: of its factors, where they lie. */
export interface OpenedAdapter {
  readonly lora: Lora;
  /** Directory of the base model, absolute. */
  readonly base: string;
  /** By the names of the factors. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/** Reads the adapter_config.json of an adapter's directory. @throws NotFound, or what {@link parseAdapterConfig} throws */
export async function readAdapterConfig(directory: string): Promise<AdapterConfig> {
  if (!(await namesIn(directory)).includes(adapterConfigName))
    throw new RetortError("NotFound", `${directory} holds an adapter's weights without ${adapterConfigName}; copy the whole directory`);
  return parseAdapterConfig(await readModelJson(directory, adapterConfigName), join(directory, adapterConfigName));
}

/**
 * The directory of an adapter's base model. One that is not absolute is looked up from the working directory, as PEFT does.
 *
 * @throws NotFound if it is no directory of this machine; InvalidArgument if the base is an adapter itself
 */
export async function baseOf(directory: string, { base }: Pick<AdapterConfig, "base">): Promise<string> {
  const path = resolve(base);
  const found = await stat(path).catch(() => undefined);
  const file = join(directory, adapterConfigName);
  if (!found?.isDirectory())
    throw new RetortError(
      "NotFound",
      `${file}: base_model_name_or_path is ${base}, and no directory is there (${path}); have the base model's files on this machine, and name their directory there; or make one model of both: retort export ${directory} --merged --base BASE --out DIR`,
    );
  if (isAdapter(await namesIn(path)))
    throw new RetortError("InvalidArgument", `${file}: the base model ${path} is an adapter itself; merge that one first`);
  return path;
}

/**
 * Finds an adapter's factors by the header of its file, and checks that they are those that its config and its base call for.
 *
 * @param config the base model's
 * @throws NotFound, DataLoss or InvalidArgument naming file, tensor and the way out
 */
export async function openAdapter(directory: string, settings: AdapterConfig, config: ModelConfig): Promise<OpenedAdapter> {
  const path = join(directory, weightsName);
  if (!(await namesIn(directory)).includes(weightsName))
    throw new RetortError(
      "NotFound",
      `${directory} has no ${weightsName}; load the adapter with PEFT and save_pretrained it again, which writes it`,
    );
  const stored = await tensorsOf(path);
  for (const [name, { entry }] of stored) checkElementType(entry.dtype, `${path}: tensor ${name}`);
  const shapes = new Map([...stored].map(([name, { entry }]) => [name, entry.shape]));
  return { lora: checkedLora(settings, config, shapes, path), base: resolve(settings.base), tensors: stored };
}

/** Reads the factors of an adapter that was opened. @throws as `readStored` */
export const readAdapter = async ({ lora, base, tensors }: OpenedAdapter): Promise<Adapter> => ({
  lora,
  base,
  factors: await readStored(tensors),
});

type Shapes = ReadonlyMap<string, readonly number[]>;

/** The adapter of a config whose factors have these shapes, by name. @throws InvalidArgument naming a tensor that is missing, or belongs to no such adapter */
export function checkedLora({ targets, r, alpha, useRslora }: AdapterConfig, config: ModelConfig, shapes: Shapes, path: string): Lora {
  const layers = Array.isArray(targets)
    ? layersOf(config, targets)
    : [...linearLayers(config).keys()].filter((name) => (targets as RegExp).test(name));
  const lora = { r, alpha, useRslora, layers };
  checkFactors(config, lora, shapes, path);
  return lora;
}

/** Checks that tensors are exactly the factors of an adapter. @throws InvalidArgument naming file and tensor */
function checkFactors(config: ModelConfig, lora: Lora, shapes: Shapes, path: string): void {
  const specs = factorSpecs(config, lora);
  const known = new Set(specs.map(({ name }) => name));
  const stray = [...shapes.keys()].find((name) => !known.has(name));
  if (stray !== undefined)
    throw new RetortError(
      "InvalidArgument",
      `${path}: tensor ${stray} is no factor of a linear layer in the base's blocks that target_modules names; adapters of the embedding, the head or other modules are not supported: merge them with PEFT (merge_and_unload)`,
    );
  if (specs.length === 0) throw new RetortError("InvalidArgument", `${path}: target_modules names no linear layer of the base model`);
  for (const { name, dims } of specs) {
    const found = shapes.get(name);
    if (!found)
      throw new RetortError(
        "InvalidArgument",
        `${path}: tensor ${name} is missing, which target_modules calls for; copy the whole directory`,
      );
    if (found.join() !== dims.join())
      throw new RetortError(
        "InvalidArgument",
        `${path}: tensor ${name} has shape [${found}]; r ${lora.r} and the base model call for [${dims}]: take the base model that the adapter was trained on`,
      );
  }
}
