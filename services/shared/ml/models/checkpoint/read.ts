import type { FileHandle } from "node:fs/promises";
import type { Tensor } from "../../graph/tensor.js";
import { checkFinite, readTensor, withFile } from "../safetensors/safetensors-file.js";
import type { StoredTensor } from "./open.js";

/**
 * Reads weights, widened to float32, file by file.
 *
 * @throws InvalidArgument naming model directory and tensor if one holds an infinity or NaN, or another element type
 */
export async function readStored(tensors: ReadonlyMap<string, StoredTensor>): Promise<Map<string, Tensor<"float32">>> {
  const read = new Map<string, Tensor<"float32">>();
  for (const path of new Set([...tensors.values()].map(({ path }) => path)))
    await withFile(path, async (file) => {
      for (const [name, tensor] of tensors) if (tensor.path === path) read.set(name, await readOne(file, tensor));
    });
  return read;
}

async function readOne(file: FileHandle, { path, stored, start, entry }: StoredTensor): Promise<Tensor<"float32">> {
  const what = `${path}: tensor ${stored}`;
  const tensor = await readTensor(file, start, entry, what);
  checkFinite(tensor, what);
  return tensor;
}
