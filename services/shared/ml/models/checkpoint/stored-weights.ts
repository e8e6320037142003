import { realpath } from "node:fs/promises";
import { RetortError } from "../../../base/errors.js";
import type { FileTensor } from "../../graph/file-tensor.js";
import type { StoredTensor } from "./open.js";

/** Element types of weights, by their names in safetensors files. */
const dtypes = { BF16: "bfloat16", F16: "float16", F32: "float32" } as const;

/** The element type of weights in files and sessions. */
export type FloatDtype = (typeof dtypes)[keyof typeof dtypes];

const isKnown = (dtype: string): dtype is keyof typeof dtypes => Object.hasOwn(dtypes, dtype);

const nameOf = (tensor: StoredTensor | undefined): string => `${tensor?.path}: tensor ${tensor?.stored}`;

/** Weights where they lie; none of their numbers is read. @throws Internal for an element type that opening a checkpoint refuses */
export async function placedWeights(tensors: ReadonlyMap<string, StoredTensor>): Promise<Map<string, FileTensor<FloatDtype>>> {
  const paths = new Map<string, string>();
  for (const { path } of tensors.values()) if (!paths.has(path)) paths.set(path, await realpath(path));
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const { path, start, entry } = tensor;
      if (!isKnown(entry.dtype)) throw new RetortError("Internal", `${nameOf(tensor)} is ${entry.dtype}, which opening it refuses`);
      const offset = start + entry.data_offsets[0];
      return [name, { dtype: dtypes[entry.dtype], dims: entry.shape, path: paths.get(path) ?? path, offset }];
    }),
  );
}

/** The element type of a checkpoint's numbers; float32, which loses nothing, where they have several. */
export function dtypeOf(tensors: ReadonlyMap<string, StoredTensor>): FloatDtype {
  const found = new Set([...tensors.values()].map(({ entry }) => entry.dtype));
  const [one = "F32"] = found;
  return found.size === 1 && isKnown(one) ? dtypes[one] : "float32";
}
