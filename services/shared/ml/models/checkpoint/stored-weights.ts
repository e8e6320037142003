import { realpath } from "node:fs/promises";
import { RetortError } from "../../../base/errors.js";
import type { FileTensor } from "../../graph/file-tensor.js";
import { type FloatDtype, storedNames } from "../safetensors/widen.js";
import type { StoredTensor } from "./open.js";

const dtypes = new Map<string, FloatDtype>(Object.entries(storedNames).map(([dtype, name]) => [name, dtype as FloatDtype]));

const nameOf = (tensor: StoredTensor | undefined): string => `${tensor?.path}: tensor ${tensor?.stored}`;

/** Weights where they lie; none of their numbers is read. @throws Internal for an element type that opening a checkpoint refuses */
export async function placedWeights(tensors: ReadonlyMap<string, StoredTensor>): Promise<Map<string, FileTensor<FloatDtype>>> {
  const paths = new Map<string, string>();
  for (const { path } of tensors.values()) if (!paths.has(path)) paths.set(path, await realpath(path));
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const { path, start, entry } = tensor;
      const dtype = dtypes.get(entry.dtype);
      if (!dtype) throw new RetortError("Internal", `${nameOf(tensor)} is ${entry.dtype}, which opening it refuses`);
      const offset = start + entry.data_offsets[0];
      return [name, { dtype, dims: entry.shape, path: paths.get(path) ?? path, offset }];
    }),
  );
}

/** The element type of a checkpoint's numbers; float32, which loses nothing, where they have several. */
export function dtypeOf(tensors: ReadonlyMap<string, StoredTensor>): FloatDtype {
  const [one = "F32", ...others] = new Set([...tensors.values()].map(({ entry }) => entry.dtype));
  return (others.length === 0 && dtypes.get(one)) || "float32";
}
