import type { Hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { updateHash } from "../../../../base/file-bytes.js";
import { sizeOf } from "../../../graph/tensor.js";
import { widenInto } from "../../safetensors/widen.js";
import type { WrittenTensor } from "../../safetensors/write-shards.js";
import { type ElementType, encode, stored } from "./element-type.js";
import type { NamedTensor } from "./names.js";
import { readRows } from "./read-rows.js";

/** What is written. */
export interface WeightsPlan {
  /** In order of name. */
  readonly tensors: readonly NamedTensor[];
  readonly elementType: ElementType;
  /** Names the GGUF file in errors. */
  readonly path: string;
}

/**
 * The weights of an open GGUF file as they are written: read and converted piece by piece, so that memory holds some tens of
 * megabytes of one of them.
 *
 * @param hash becomes, once all are read, the digest that a model of these weights has ({@link digestOf} of model.ts)
 * @param onBytes is told how many bytes more have been read
 * @throws while they are read, as {@link readRows} and {@link encode}
 */
export function writtenWeights(file: FileHandle, plan: WeightsPlan, hash: Hash, onBytes: (bytes: number) => void): WrittenTensor[] {
  const { tensors, elementType, path } = plan;
  const { dtype, bytes: size } = stored[elementType];
  return tensors.map(({ name, tensor, change }) => ({
    ...{ name, dtype, shape: tensor.shape, bytes: sizeOf(tensor.shape) * size },
    async *read() {
      const what = `${path}: tensor ${tensor.name}`;
      hash.update(`${name}[${tensor.shape}]`);
      for await (const values of readRows(file, tensor, change, what)) {
        const bytes = encode(values, elementType, what);
        updateHash(hash, widened(values.length, bytes, elementType));
        onBytes(bytes.length);
        yield bytes;
      }
    },
  }));
}

/** Encoded numbers as the bytes of float32: as the file holds them. */
function widened(length: number, bytes: Uint8Array, elementType: ElementType): Uint8Array {
  if (elementType === "float32") return bytes;
  const bits = new Uint32Array(length);
  widenInto(bits, 0, bytes, stored[elementType].dtype);
  return new Uint8Array(bits.buffer);
}
