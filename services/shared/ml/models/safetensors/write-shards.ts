import { join } from "node:path";
import { writeAtomically } from "../../../base/write-atomically.js";
import { headOf } from "./safetensors-write.js";

/** A tensor that is written as its bytes come. */
export interface WrittenTensor {
  readonly name: string;
  /** As the format calls it: F32, BF16. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** How many bytes it has. */
  readonly bytes: number;
  /** Its bytes, in order. */
  readonly read: () => AsyncIterable<Uint8Array>;
}

/** As transformers 4 splits weights by default, in bytes. */
const usualShardBytes = 5e9;

/** The file that says which shard holds which tensor. */
const indexName = "model.safetensors.index.json";

/**
 * Writes tensors as model.safetensors, or as shards and then their index, each beside its name and renamed. Memory holds the
 * bytes that are being written alone.
 *
 * @param tensors in order of name
 * @param shardBytes most bytes of one file, unless a tensor alone has more
 * @throws what reading a tensor throws; system errors of writing
 */
export async function writeShards(directory: string, tensors: readonly WrittenTensor[], shardBytes = usualShardBytes): Promise<void> {
  const shards = shardsOf(tensors, shardBytes);
  const names = namesOf(shards.length);
  for (const [i, shard] of shards.entries()) await writeAtomically(join(directory, names[i] ?? ""), partsOf(shard));
  if (shards.length === 1) return;
  const weight_map = Object.fromEntries(shards.flatMap((shard, i) => shard.map(({ name }) => [name, names[i]])));
  const index = { metadata: { total_size: bytesOf(tensors) }, weight_map };
  await writeAtomically(join(directory, indexName), Buffer.from(`${JSON.stringify(index, null, 2)}\n`));
}

/** Names of the files that {@link writeShards} writes. */
export function shardFiles(tensors: readonly WrittenTensor[], shardBytes = usualShardBytes): string[] {
  const names = namesOf(shardsOf(tensors, shardBytes).length);
  return names.length === 1 ? names : [...names, indexName];
}

const bytesOf = (tensors: readonly WrittenTensor[]): number => tensors.reduce((sum, { bytes }) => sum + bytes, 0);

/** Names of so many files of weights, without their index. */
function namesOf(count: number): string[] {
  if (count === 1) return ["model.safetensors"];
  const number = (place: number) => String(place).padStart(5, "0");
  return Array.from({ length: count }, (_, i) => `model-${number(i + 1)}-of-${number(count)}.safetensors`);
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
async function* partsOf(tensors: readonly WrittenTensor[]): AsyncGenerator<Uint8Array> {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let offset = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  yield headOf(header);
  for (const tensor of tensors) yield* tensor.read();
}
