import { copyFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { chunksOf, type FileBytes, joined, piecesOf } from "../../../base/file-bytes.js";
import { makeDirectory } from "../../../base/make-directory.js";
import { writeAtomically } from "../../../base/write-atomically.js";
import { type Tokenizer, tokenizerPaths } from "../../text/tokenizer.js";
import { layersOf, linearLayers } from "../adapter/layers.js";
import { architectureOf } from "../architectures/table.js";
import { checkedLora, readAdapterConfig } from "../checkpoint/adapter.js";
import { parseModelJson, readModelJson } from "../checkpoint/model-json.js";
import { adapterConfigName, adapterConfigText, parseAdapterConfig } from "../checkpoint/peft-config.js";
import { placesOf } from "../checkpoint/places.js";
import type { ModelConfig } from "../config/model-config.js";
import type { Adapter, Lora } from "../lora.js";
import type { Weights } from "../param-spec.js";
import { decodeSafetensors, encodeSafetensors } from "../safetensors/safetensors.js";
import { checkFinite, readTensors } from "../safetensors/safetensors-file.js";
import { publishedFiles } from "../trainable.js";

const weightsName = publishedFiles.adapter;

/** An adapter from its files in memory; the inverse of {@link adapterToFiles}. @param config the base model's */
export function adapterFromFiles(files: Readonly<Record<string, FileBytes>>, text: Uint8Array, config: ModelConfig): Adapter {
  const settings = parseAdapterConfig(parseModelJson(text, adapterConfigName), adapterConfigName);
  const factors = decodeSafetensors(files[weightsName] ?? new Uint8Array(), weightsName);
  const shapes = new Map([...factors].map(([name, { dims }]) => [name, dims]));
  return { lora: checkedLora(settings, config, shapes, weightsName), base: settings.base, factors };
}

/** An adapter's own files, as PEFT writes them; the factors are copied. @param config the base model's */
export function adapterToFiles({ lora, base, factors }: Adapter, config: ModelConfig): Record<string, FileBytes> {
  const linear = linearLayers(config);
  const fanInFanOut = lora.layers.every((layer) => linear.get(layer)?.linear === "inOut");
  const taskType = architectureOf(config).encoder ? "SEQ_2_SEQ_LM" : "CAUSAL_LM";
  const text = adapterConfigText(lora, { base, targets: targetsFor(config, lora), fanInFanOut, taskType });
  return { [adapterConfigName]: new Uint8Array(Buffer.from(text)), [weightsName]: joined(encodeSafetensors(factors)) };
}

/**
 * Saves an adapter as a directory that PEFT loads: its config, its factors and the tokenizer's files, each written beside its
 * name and renamed, the factors last.
 *
 * @param config the base model's
 * @param from as of {@link saveTokenizer}
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
  for (const [name, bytes] of Object.entries(adapterToFiles(adapter, config)))
    await writeAtomically(join(directory, name), chunksOf(piecesOf(bytes)));
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
  await writeAtomically(join(to, weightsName), encodeSafetensors(factors));
  return { base: base ?? written.base, factors };
}
