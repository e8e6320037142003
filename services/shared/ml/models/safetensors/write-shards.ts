import { createHash } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeAtomically } from "../../../base/write-atomically.js";
import { byteLengthOf, bytesOf, type FileTensor, isInFile, piecesOf } from "../../graph/file-tensor.js";
import type { Tensor } from "../../graph/tensor.js";
import { headOf } from "./head.js";
import { type FloatDtype, storedNames } from "./widen.js";

/** A tensor that is written as its bytes come. */
export interface WrittenTensor {
  readonly name: string;
  /** As the format calls it: F32, BF16. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** How many bytes it has. */
  readonly bytes: number;
  /** Its bytes, in order. */
  readonly read: () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/** As transformers 4 splits weights by default, in bytes. */
const usualShardBytes = 5e9;

/** How tensors become files. */
export interface ShardOptions {
  /** Most bytes of one file, unless a tensor alone has more. Default 5e9. */
  readonly shardBytes?: number;
  /** What the files are called before `.safetensors` and the number of a shard. Default "model". */
  readonly stem?: string;
  /** What the header of each file says of it. Default `{format: "pt"}`. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** As of {@link WriteOptions}. */
  readonly sync?: boolean;
  /** As of {@link WriteOptions}. */
  readonly overSpare?: boolean;
  /** Whether files are hashed while they are written. Default true. */
  readonly hashed?: boolean;
}

/** A file that was written. */
export interface WrittenFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** SHA-256, hexadecimal; empty where it wasn't hashed. */
  readonly digest: string;
}

/** Weights, in order of name and in the element types that they have; those in memory are written from where they are. */
export const writtenTensors = (weights: ReadonlyMap<string, Tensor<"float32"> | FileTensor<FloatDtype>>): WrittenTensor[] =>
  [...weights]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, weight]) => ({
      ...{ name, dtype: storedNames[weight.dtype], shape: weight.dims, bytes: byteLengthOf(weight) },
      read: () => (isInFile(weight) ? piecesInTurn(weight) : [bytesOf(weight)]),
    }));

/** A tensor's pieces, each as it is until the next is asked for. */
async function* piecesInTurn(tensor: FileTensor): AsyncGenerator<Uint8Array> {
  yield* piecesOf(tensor);
}

/**
 * Writes tensors as model.safetensors, or as shards and then their index, each beside its name and renamed. Memory holds the
 * bytes that are being written alone. An index that is there is removed first, since one that lies beside shards is theirs, and
 * files of an earlier saving with more or fewer shards last.
 *
 * @param tensors in order of name
 * @throws what reading a tensor throws; system errors of writing
 */
export async function writeShards(
  directory: string,
  tensors: readonly WrittenTensor[],
  { shardBytes = usualShardBytes, stem = "model", metadata = { format: "pt" }, sync, overSpare, hashed = true }: ShardOptions = {},
): Promise<WrittenFile[]> {
  const shards = shardsOf(tensors, shardBytes);
  const names = namesOf(shards.length, stem);
  await rm(join(directory, indexName(stem)), { force: true });
  const files: WrittenFile[] = [];
  const write = async (name: string, bytes: Parameters<typeof writeAtomically>[1]) => {
    const hash = hashed ? createHash("sha256") : undefined;
    const sizeBytes = await writeAtomically(join(directory, name), bytes, { ...(hash && { hash }), sync, overSpare });
    files.push({ name, sizeBytes, digest: hash?.digest("hex") ?? "" });
  };
  for (const [i, shard] of shards.entries()) await write(names[i] ?? "", partsOf(shard, metadata));
  for (const name of await readdir(directory)) if (isShard(name, stem) && !names.includes(name)) await rm(join(directory, name));
  if (shards.length === 1) return files;
  const weight_map = Object.fromEntries(shards.flatMap((shard, i) => shard.map(({ name }) => [name, names[i]])));
  const index = { metadata: { total_size: totalBytes(tensors) }, weight_map };
  await write(indexName(stem), Buffer.from(`${JSON.stringify(index, null, 2)}\n`));
  return files;
}

/** Whether a file is called as the whole of a stem's tensors or a shard of them. */
const isShard = (name: string, stem: string): boolean =>
  name === `${stem}.safetensors` || (name.startsWith(`${stem}-`) && /^-\d{5}-of-\d{5}\.safetensors$/.test(name.slice(stem.length)));

/** Names of the files that {@link writeShards} writes. */
export function shardFiles(tensors: readonly WrittenTensor[], shardBytes = usualShardBytes): string[] {
  const names = namesOf(shardsOf(tensors, shardBytes).length, "model");
  return names.length === 1 ? names : [...names, indexName("model")];
}

/** The file that says which shard holds which tensor. @param stem as of {@link ShardOptions} */
export const indexName = (stem: string): string => `${stem}.safetensors.index.json`;

const totalBytes = (tensors: readonly WrittenTensor[]): number => tensors.reduce((sum, { bytes }) => sum + bytes, 0);

/** Names of so many files of weights, without their index. */
function namesOf(count: number, stem: string): string[] {
  if (count === 1) return [`${stem}.safetensors`];
  const number = (place: number) => String(place).padStart(5, "0");
  return Array.from({ length: count }, (_, i) => `${stem}-${number(i + 1)}-of-${number(count)}.safetensors`);
}

function shardsOf(tensors: readonly WrittenTensor[], shardBytes: number): WrittenTensor[][] {
  const shards: WrittenTensor[][] = [[]];
  let held = 0;
  for (const tensor of tensors) {
    if (held > 0 && held + tensor.bytes > shardBytes) {
      shards.push([]);
      held = 0;
    }
    shards.at(-1)?.push(tensor);
    held += tensor.bytes;
  }
  return shards;
}

/** A safetensors file, part by part. */
function partsOf(tensors: readonly WrittenTensor[], metadata: Readonly<Record<string, string>>) {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  const parts = tensors.map(({ read }) => read());
  const head = headOf(header);
  // What is in memory is taken as it is, many tensors to one call into the system.
  return parts.every((part) => Symbol.iterator in part)
    ? [head, ...(parts as Iterable<Uint8Array>[]).flatMap((part) => [...part])]
    : awaited(head, parts);
}

async function* awaited(
  head: Uint8Array,
  parts: readonly (Iterable<Uint8Array> | AsyncIterable<Uint8Array>)[],
): AsyncGenerator<Uint8Array> {
  yield head;
  for (const part of parts) yield* part;
}
