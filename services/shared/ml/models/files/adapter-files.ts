import { copyFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { FileBytes } from "../../../base/file-bytes.js";
import { makeDirectory } from "../../../base/make-directory.js";
import { writeAtomically } from "../../../base/write-atomically.js";
import { type Tokenizer, tokenizerPaths } from "../../text/tokenizer.js";
import { layersOf, linearLayers } from "../adapter/layers.js";
import { checkedLora } from "../checkpoint/adapter.js";
import { parseModelJson } from "../checkpoint/model-json.js";
import { adapterConfigName, adapterConfigText, parseAdapterConfig } from "../checkpoint/peft-config.js";
import type { ModelConfig } from "../config/model-config.js";
import type { Adapter, Lora } from "../lora.js";
import { decodeSafetensors, encodeSafetensors } from "../safetensors/safetensors.js";
import { publishedFiles } from "../trainable.js";

const weightsName = publishedFiles.adapter;

/** An adapter from its files in memory; the inverse of {@link adapterToFiles}. @param config the base model's */
export function adapterFromFiles(files: Readonly<Record<string, FileBytes>>, text: Uint8Array, config: ModelConfig): Adapter {
  const settings = parseAdapterConfig(parseModelJson(text, adapterConfigName), adapterConfigName);
  const factors = decodeSafetensors(files[weightsName] ?? new Uint8Array(), weightsName);
  const shapes = new Map([...factors].map(([name, { dims }]) => [name, dims]));
  return { lora: checkedLora(settings, config, shapes, weightsName), base: settings.base, factors };
}

/** An adapter's own files, as PEFT writes them. @param config the base model's */
export function adapterToFiles({ lora, base, factors }: Adapter, config: ModelConfig): Record<string, FileBytes> {
  const linear = linearLayers(config);
  const fanInFanOut = lora.layers.every((layer) => linear.get(layer)?.linear === "inOut");
  const text = adapterConfigText(lora, { base, targets: targetsFor(config, lora), fanInFanOut });
  return { [adapterConfigName]: new Uint8Array(Buffer.from(text)), [weightsName]: [...encodeSafetensors(factors)] };
}

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

/** The shortest target_modules that name an adapter's layers and no other: modules' own names, or else whole names. */
function targetsFor(config: ModelConfig, { layers }: Lora): readonly string[] {
  const short = [...new Set(layers.map((name) => name.slice(name.lastIndexOf(".") + 1)))];
  return layersOf(config, short).length === layers.length ? short : layers;
}
