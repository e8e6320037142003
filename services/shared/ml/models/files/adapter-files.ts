import { copyFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeDirectory } from "../../../base/make-directory.js";
import { writeAtomically } from "../../../base/write-atomically.js";
import { type Tokenizer, tokenizerPaths } from "../../text/tokenizer.js";
import { layersOf, linearLayers } from "../adapter/layers.js";
import { architectureOf } from "../architectures/table.js";
import { readAdapterConfig } from "../checkpoint/adapter.js";
import { readModelJson } from "../checkpoint/model-json.js";
import { adapterConfigName, adapterConfigText } from "../checkpoint/peft-config.js";
import { placesOf } from "../checkpoint/places.js";
import type { ModelConfig } from "../config/model-config.js";
import type { Adapter, Lora } from "../lora.js";
import type { Weights } from "../param-spec.js";
import { checkFinite, readTensors } from "../safetensors/safetensors-file.js";
import { type WrittenFile, writeShards, writtenTensors } from "../safetensors/write-shards.js";
import { publishedFiles } from "../trainable.js";

const weightsName = publishedFiles.adapter;

/**
 * Saves an adapter as a directory that PEFT loads: its config, its factors and the tokenizer's files, each written beside its
 * name and renamed, the factors last.
 *
 * @param config the base model's
 * @param from as of {@link saveTokenizer}
 * @returns the file of the factors
 */
export async function saveAdapter(
  directory: string,
  adapter: Adapter,
  config: ModelConfig,
  tokenizer: Tokenizer,
  from?: string,
): Promise<WrittenFile[]> {
  await makeDirectory(directory);
  await saveTokenizer(directory, tokenizer, from);
  await writeAdapterConfig(directory, adapter, config);
  return writeFactors(directory, adapter.factors);
}

/** Writes the factors of an adapter. @param sync as of {@link WriteOptions} */
export const writeFactors = (directory: string, factors: Weights, sync?: boolean): Promise<WrittenFile[]> =>
  writeShards(directory, writtenTensors(factors), { stem: "adapter_model", shardBytes: Number.POSITIVE_INFINITY, sync });

/** Writes an adapter's adapter_config.json, as PEFT does. @param config the base model's */
export async function writeAdapterConfig(directory: string, { lora, base }: Adapter, config: ModelConfig): Promise<void> {
  const linear = linearLayers(config);
  const fanInFanOut = lora.layers.every((layer) => linear.get(layer)?.linear === "inOut");
  const taskType = architectureOf(config).encoder ? "SEQ_2_SEQ_LM" : "CAUSAL_LM";
  const text = adapterConfigText(lora, { base, targets: targetsFor(config, lora), fanInFanOut, taskType });
  await writeAtomically(join(directory, adapterConfigName), Buffer.from(text));
}

/** Saves a tokenizer's files. @param from the directory that the model came from: its files are copied as they are */
export async function saveTokenizer(directory: string, { files }: Tokenizer, from?: string, base?: string): Promise<void> {
  if (from !== undefined) return copyTokenizer((await placesOf(from, base)).tokenizer, directory);
  for (const [name, text] of Object.entries(files)) {
    await makeDirectory(dirname(join(directory, name)));
    await writeAtomically(join(directory, name), Buffer.from(text));
  }
}

/** Copies the files of a tokenizer, where a directory has them, as they are. */
export async function copyTokenizer(from: string, to: string): Promise<void> {
  for (const name of await tokenizerPaths(from)) {
    await makeDirectory(dirname(join(to, name)));
    await copyFile(join(from, name), join(to, name));
  }
}

/** The shortest target_modules that name an adapter's layers and no other: modules' own names, or else whole names. */
function targetsFor(config: ModelConfig, { layers }: Lora): readonly string[] {
  const short = [...new Set(layers.map((name) => name.slice(name.lastIndexOf(".") + 1)))];
  return layersOf(config, short).length === layers.length ? short : layers;
}

/** An adapter that was copied. */
export interface CopiedAdapter {
  /** Directory of its base model, as its config says. */
  readonly base: string;
  readonly factors: Weights;
}

/**
 * Copies a PEFT adapter's directory: config, factors in float32 and, where it has them, the tokenizer's files. Its base model
 * need not be on this machine.
 *
 * @param base directory of the base model for the copy's config, where it is another
 * @throws NotFound, DataLoss or InvalidArgument naming file, key or tensor
 */
export async function copyAdapter(from: string, to: string, base?: string): Promise<CopiedAdapter> {
  const written = await readAdapterConfig(from);
  const factors = await readTensors(join(from, weightsName));
  for (const [name, tensor] of factors) checkFinite(tensor, `${join(from, weightsName)}: tensor ${name}`);
  await makeDirectory(to);
  await copyTokenizer(from, to);
  const config = { ...(await readModelJson(from, adapterConfigName)), ...(base === undefined ? {} : { base_model_name_or_path: base }) };
  await writeAtomically(join(to, adapterConfigName), Buffer.from(`${JSON.stringify(config, null, 2)}\n`));
  await writeFactors(to, factors);
  return { base: base ?? written.base, factors };
}
