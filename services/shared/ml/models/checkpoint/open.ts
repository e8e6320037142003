import { join } from "node:path";
import { RetortError } from "../../../base/errors.js";
import type { SafetensorsEntry } from "../safetensors/entries.js";
import { readHeader } from "../safetensors/header.js";
import { withFile } from "../safetensors/safetensors-file.js";
import { publishedFiles } from "../trainable.js";
import { missingFile, namesIn, refuseAdapter } from "./diagnose.js";
import { readModelJson } from "./model-json.js";

/** Where a tensor lies: nothing of it is read yet. */
export interface StoredTensor {
  /** Its name in the file. */
  readonly stored: string;
  readonly path: string;
  /** Place of the file's first tensor. */
  readonly start: number;
  readonly entry: SafetensorsEntry;
}

/** The weights of a model directory, by name, as one place after another is told to hold them. */
export interface Checkpoint {
  readonly directory: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** What is strange about the files, and allowed. */
  readonly warnings: readonly string[];
}

const single = "model.safetensors";

/** The file that says which shard holds which tensor. */
export const indexFile = "model.safetensors.index.json";

/** Whether a file has a name that a model's weights, whole or in shards, or their index have. */
export const isWeightsFile = (name: string): boolean => name === indexFile || /^model(-\d+-of-\d+)?\.safetensors$/.test(name);

/** Those of a version's files that hold its weights: an adapter's, where there is one, or the model's, whole or in shards. */
export const weightsFilesOf = (names: Iterable<string>): string[] =>
  [...names].includes(publishedFiles.adapter) ? [publishedFiles.adapter] : [...names].filter(isWeightsFile);

/**
 * Finds the weights of a Hugging Face directory by the headers of its files: model.safetensors, or shards, of which the
 * index says per tensor where it is. Every reader of a directory goes through here, so that none reads other weights.
 *
 * @throws NotFound, DataLoss or InvalidArgument naming the file, the tensor and the way out
 */
export async function openCheckpoint(directory: string): Promise<Checkpoint> {
  const names = await namesIn(directory);
  refuseAdapter(directory, names);
  if (names.includes(indexFile)) return openShards(directory, names);
  if (!names.includes(single)) throw await missingFile(directory, single);
  const tensors = await tensorsOf(join(directory, single));
  return { directory, tensors, warnings: stale(names, new Set([single]), "there is model.safetensors") };
}

async function openShards(directory: string, names: readonly string[]): Promise<Checkpoint> {
  const map = await weightMap(directory);
  const shards = [...new Set(Object.values(map))].sort();
  if (names.includes(single) && !shards.includes(single))
    throw new RetortError(
      "InvalidArgument",
      `${directory} holds both ${single} and ${indexFile} with other files, and programs differ in which they read (transformers: ${single}); remove the one that is stale`,
    );
  const held = new Map<string, ReadonlyMap<string, StoredTensor>>();
  for (const shard of shards) held.set(shard, await openShard(directory, shard, map));
  const tensors = new Map<string, StoredTensor>();
  for (const [name, shard] of Object.entries(map)) {
    const found = held.get(shard)?.get(name);
    if (!found)
      throw new RetortError(
        "DataLoss",
        `${directory}: ${indexFile} says that tensor ${name} is in ${shard}, which has no such tensor; index and shards are of different models or savings: copy or download all of them again`,
      );
    tensors.set(name, found);
  }
  const warnings = stale(names, new Set(shards), `${indexFile} does not name it`);
  for (const [shard, stored] of held) warnings.push(...strays(shard, stored, map, tensors));
  return { directory, tensors, warnings };
}

/** Tensors of a shard that the index places elsewhere are passed over; those that it leaves out are taken, as transformers does. */
function strays(
  shard: string,
  stored: ReadonlyMap<string, StoredTensor>,
  map: Readonly<Record<string, string>>,
  tensors: Map<string, StoredTensor>,
): string[] {
  const elsewhere = [...stored.keys()].filter((name) => Object.hasOwn(map, name) && map[name] !== shard);
  for (const [name, tensor] of stored) if (!Object.hasOwn(map, name)) tensors.set(name, tensor);
  if (elsewhere.length === 0) return [];
  return [
    `${shard} holds ${some(elsewhere)} too, which ${indexFile} places in ${map[elsewhere[0]!]}: read from there, and passed over in ${shard}`,
  ];
}

async function openShard(
  directory: string,
  shard: string,
  map: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, StoredTensor>> {
  try {
    return await tensorsOf(join(directory, shard));
  } catch (error) {
    if (!(error instanceof RetortError) || error.code !== "NotFound") throw error;
    const called = Object.keys(map).filter((name) => map[name] === shard);
    throw new RetortError(
      "NotFound",
      `${directory}: ${shard} is not there, in which ${indexFile} places ${some(called)}; copy or download the whole directory`,
    );
  }
}

async function weightMap(directory: string): Promise<Readonly<Record<string, string>>> {
  const { weight_map } = await readModelJson(directory, indexFile);
  const entries = typeof weight_map === "object" && weight_map !== null ? Object.entries(weight_map as Record<string, unknown>) : [];
  if (entries.length === 0 || !entries.every(([, file]) => typeof file === "string" && file !== ""))
    throw new RetortError("InvalidArgument", `${join(directory, indexFile)} has no weight_map of tensors to files; download it again`);
  const outside = entries.find(([, file]) => !/^[^/\\\0]+$/.test(String(file)) || file === "." || file === "..");
  if (outside)
    throw new RetortError(
      "InvalidArgument",
      `${join(directory, indexFile)} places tensor ${outside[0]} in a file outside of the directory; the files of a model lie beside its index: download it again`,
    );
  return weight_map as Record<string, string>;
}

/** Where the tensors of a safetensors file lie, by name. */
export async function tensorsOf(path: string): Promise<Map<string, StoredTensor>> {
  const { start, entries } = await withFile(path, (file) => readHeader(file, path));
  return new Map(entries.map(([name, entry]) => [name, { stored: name, path, start, entry }]));
}

/** Files that look like weights of the model and are not read. */
function stale(names: readonly string[], used: ReadonlySet<string>, why: string): string[] {
  const left = names.filter((name) => /^model.*\.safetensors$/.test(name) && !used.has(name));
  return left.length ? [`${left.join(", ")}: passed over, as ${why}`] : [];
}

const some = (names: readonly string[]): string =>
  names.length === 1 ? `tensor ${names[0]}` : `${names.length} tensors (${names.slice(0, 3).join(", ")}${names.length > 3 ? ", …" : ""})`;
