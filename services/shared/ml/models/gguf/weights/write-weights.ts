import { createHash, type Hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { updateHash } from "../../../../base/file-bytes.js";
import { writeAtomically } from "../../../../base/write-atomically.js";
import { sizeOf } from "../../../graph/tensor.js";
import { indexFile } from "../../checkpoint/open.js";
import { headOf } from "../../safetensors/safetensors-write.js";
import { widenInto } from "../../safetensors/widen.js";
import { type ElementType, encode, stored } from "./element-type.js";
import type { NamedTensor } from "./names.js";
import { readRows } from "./read-rows.js";

/** What is written where. */
export interface WeightsPlan {
  /** In order of name. */
  readonly tensors: readonly NamedTensor[];
  readonly elementType: ElementType;
  /** Most bytes of one file, unless a tensor alone has more. */
  readonly shardBytes: number;
  /** Names the GGUF file in errors. */
  readonly path: string;
}

/** Bytes of all weights as they are written. */
export const weightBytes = ({ tensors, elementType }: Pick<WeightsPlan, "tensors" | "elementType">): number =>
  tensors.reduce((sum, { tensor }) => sum + sizeOf(tensor.shape) * stored[elementType].bytes, 0);

/**
 * Writes weights as model.safetensors, or as shards and then their index. Tensors are read, converted and written piece by
 * piece: memory holds some tens of megabytes of one of them.
 *
 * @param onBytes is told how many bytes more have been written
 * @returns the names of the files, and the digest that a model of these weights has ({@link digestOf} of model.ts)
 * @throws as {@link readRows} and {@link encode}; system errors of writing
 */
export async function writeWeights(
  directory: string,
  file: FileHandle,
  plan: WeightsPlan,
  onBytes: (bytes: number) => void = () => {},
): Promise<{ readonly files: readonly string[]; readonly digest: string }> {
  const hash = createHash("sha256");
  const shards = shardsOf(plan);
  const names = namesOf(shards.length);
  for (const [i, tensors] of shards.entries())
    await writeAtomically(join(directory, names[i] ?? ""), encoded(file, { ...plan, tensors }, hash, onBytes));
  if (shards.length === 1) return { files: names, digest: hash.digest("hex") };
  const weight_map = Object.fromEntries(shards.flatMap((tensors, i) => tensors.map(({ name }) => [name, names[i]])));
  const index = { metadata: { total_size: weightBytes(plan) }, weight_map };
  await writeAtomically(join(directory, indexFile), Buffer.from(`${JSON.stringify(index, null, 2)}\n`));
  return { files: [...names, indexFile], digest: hash.digest("hex") };
}

/** Names of so many files of weights, without their index. */
function namesOf(count: number): string[] {
  if (count === 1) return ["model.safetensors"];
  const number = (place: number) => String(place).padStart(5, "0");
  return Array.from({ length: count }, (_, i) => `model-${number(i + 1)}-of-${number(count)}.safetensors`);
}

/** Names of the files that {@link writeWeights} writes. */
export function weightFiles(plan: WeightsPlan): string[] {
  const names = namesOf(shardsOf(plan).length);
  return names.length === 1 ? names : [...names, indexFile];
}

function shardsOf(plan: WeightsPlan): NamedTensor[][] {
  const shards: NamedTensor[][] = [[]];
  let held = 0;
  for (const tensor of plan.tensors) {
    const bytes = weightBytes({ ...plan, tensors: [tensor] });
    if (held > 0 && held + bytes > plan.shardBytes) {
      shards.push([]);
      held = 0;
    }
    shards.at(-1)?.push(tensor);
    held += bytes;
  }
  return shards;
}

/** A safetensors file, part by part; the hash takes each tensor as float32, as the file holds it. */
async function* encoded(file: FileHandle, plan: WeightsPlan, hash: Hash, onBytes: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  const { tensors, elementType, path } = plan;
  yield headOf(headerOf(plan));
  for (const { name, tensor, change } of tensors) {
    const what = `${path}: tensor ${tensor.name}`;
    hash.update(`${name}[${tensor.shape}]`);
    for await (const values of readRows(file, tensor, change, what)) {
      const bytes = encode(values, elementType, what);
      updateHash(hash, widened(values.length, bytes, elementType));
      onBytes(bytes.length);
      yield bytes;
    }
  }
}

function headerOf({ tensors, elementType }: WeightsPlan): Record<string, unknown> {
  const { dtype, bytes } = stored[elementType];
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let offset = 0;
  for (const { name, tensor } of tensors) {
    const end = offset + sizeOf(tensor.shape) * bytes;
    header[name] = { dtype, shape: tensor.shape, data_offsets: [offset, end] };
    offset = end;
  }
  return header;
}

/** Encoded numbers as the bytes of float32. */
function widened(length: number, bytes: Uint8Array, elementType: ElementType): Uint8Array {
  if (elementType === "float32") return bytes;
  const bits = new Uint32Array(length);
  widenInto(bits, 0, bytes, stored[elementType].dtype);
  return new Uint8Array(bits.buffer);
}
