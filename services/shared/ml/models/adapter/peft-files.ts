import { copyFile, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { RetortError } from "../../../base/errors.js";
import type { FileBytes } from "../../../base/file-bytes.js";
import { makeDirectory } from "../../../base/make-directory.js";
import { writeAtomically } from "../../../base/write-atomically.js";
import { type Tokenizer, tokenizerPaths } from "../../text/tokenizer.js";
import { namesIn } from "../checkpoint/diagnose.js";
import { parseModelJson, readModelJson } from "../checkpoint/model-json.js";
import { type StoredTensor, tensorsOf } from "../checkpoint/open.js";
import { readStored } from "../checkpoint/read.js";
import type { ModelConfig } from "../config/model-config.js";
import { decodeSafetensors, encodeSafetensors } from "../safetensors/safetensors.js";
import { checkElementType } from "../safetensors/widen.js";
import { publishedFiles } from "../trainable.js";
import { factorSpecs, layersOf, linearLayers } from "./layers.js";
import type { Adapter, Lora } from "./lora.js";
import { type AdapterConfig, adapterConfigName, adapterConfigText, parseAdapterConfig } from "./peft-config.js";

const weightsName = publishedFiles.adapter;

/** An adapter's directory that was looked at: of its factors, where they lie. */
export interface OpenedAdapter {
  readonly lora: Lora;
  /** Directory of the base model, absolute. */
  readonly base: string;
  /** By the names of the factors. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/** Whether a directory that holds these names is a PEFT adapter's: transformers puts it on its base model. */
export const isAdapter = (names: readonly string[]): boolean =>
  names.some((name) => name === adapterConfigName || /^adapter_model\.(safetensors|bin)$/.test(name));

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
      `${file}: base_model_name_or_path is ${base}, and no directory is there (${path}); have the base model's files on this machine, and name their directory there`,
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

/** An adapter from its files in memory; the inverse of {@link adapterToFiles}. @param config the base model's */
export function adapterFromFiles(files: Readonly<Record<string, FileBytes>>, text: Uint8Array, config: ModelConfig): Adapter {
  const settings = parseAdapterConfig(parseModelJson(text, adapterConfigName), adapterConfigName);
  const factors = decodeSafetensors(files[weightsName] ?? new Uint8Array(), weightsName);
  const shapes = new Map([...factors].map(([name, { dims }]) => [name, dims]));
  return { lora: checkedLora(settings, config, shapes, weightsName), base: settings.base, factors };
}

/** An adapter's own files, as PEFT writes them. @param config the base model's */
export const adapterToFiles = ({ lora, base, factors }: Adapter, config: ModelConfig): Record<string, FileBytes> => ({
  [adapterConfigName]: new Uint8Array(Buffer.from(adapterConfigText(lora, base, targetsFor(config, lora)))),
  [weightsName]: [...encodeSafetensors(factors)],
});

/**
 * Saves an adapter as a directory that PEFT loads: its config, its factors and the tokenizer's files, each written beside its
 * name and renamed, the factors last.
 *
 * @param config the base model's
 * @param from the directory whose tokenizer files are copied as they are
 */
export async function saveAdapter(
  directory: string,
  adapter: Adapter,
  config: ModelConfig,
  tokenizer: Tokenizer,
  from?: string,
): Promise<void> {
  await makeDirectory(directory);
  await saveTokenizer(directory, tokenizer, from);
  for (const [name, bytes] of Object.entries(adapterToFiles(adapter, config))) await writeAtomically(join(directory, name), bytes);
}

/** Saves a tokenizer's files, or copies those of a directory as they are. */
export async function saveTokenizer(directory: string, { files }: Tokenizer, from?: string): Promise<void> {
  const names = from === undefined ? Object.keys(files) : await tokenizerPaths(from);
  for (const name of names) {
    await makeDirectory(dirname(join(directory, name)));
    if (from === undefined) await writeAtomically(join(directory, name), Buffer.from(files[name] ?? ""));
    else await copyFile(join(from, name), join(directory, name));
  }
}

type Shapes = ReadonlyMap<string, readonly number[]>;

/** The adapter whose factors have these shapes. @throws InvalidArgument naming a tensor that is missing, or belongs to no such adapter */
function checkedLora({ targets, r, alpha, useRslora }: AdapterConfig, config: ModelConfig, shapes: Shapes, path: string): Lora {
  const layers = Array.isArray(targets)
    ? layersOf(config, targets)
    : [...linearLayers(config).keys()].filter((name) => (targets as RegExp).test(name));
  const lora = { r, alpha, useRslora, layers };
  checkFactors(config, lora, shapes, path);
  return lora;
}

/** Checks that tensors are exactly the factors of an adapter. @throws InvalidArgument naming file and tensor */
export function checkFactors(config: ModelConfig, lora: Lora, shapes: Shapes, path: string): void {
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

/** The shortest target_modules that name an adapter's layers and no other: modules' own names, or else whole names. */
function targetsFor(config: ModelConfig, { layers }: Lora): readonly string[] {
  const short = [...new Set(layers.map((name) => name.slice(name.lastIndexOf(".") + 1)))];
  return layersOf(config, short).length === layers.length ? short : layers;
}
