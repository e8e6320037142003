import { realpath } from "node:fs/promises";
import { RetortError } from "../../../base/errors.js";
import { arrayOver, type FileTensor, isHalf, piecesOf } from "../../graph/file-tensor.js";
import { sizeOf } from "../../graph/tensor.js";
import { firstNonFinite } from "../safetensors/widen.js";
import type { StoredTensor } from "./open.js";

/** Element types of weights, by their names in safetensors files. */
const dtypes = { BF16: "bfloat16", F16: "float16", F32: "float32" } as const;

/** The element type of weights in files and sessions. */
export type FloatDtype = (typeof dtypes)[keyof typeof dtypes];

const isKnown = (dtype: string): dtype is keyof typeof dtypes => Object.hasOwn(dtypes, dtype);

/**
 * Weights where they lie, after a look at each of their numbers. Nothing of them is kept in memory.
 *
 * @param isChecked false for what a trainer of ours has written: a step that is not finite changes nothing
 * @throws InvalidArgument naming file and tensor if one holds an infinity or NaN, or another element type
 */
export async function storedWeights(tensors: ReadonlyMap<string, StoredTensor>, isChecked = true): Promise<Map<string, FileTensor>> {
  const paths = new Map<string, string>();
  for (const { path } of tensors.values()) if (!paths.has(path)) paths.set(path, await realpath(path));
  return new Map(
    [...tensors].map(([name, { path, stored, start, entry }]) => {
      const what = `${path}: tensor ${stored}`;
      if (!isKnown(entry.dtype)) throw new RetortError("Internal", `${what} is ${entry.dtype}, which opening it refuses`);
      const offset = start + entry.data_offsets[0];
      const tensor = { dtype: dtypes[entry.dtype], dims: entry.shape, path: paths.get(path) ?? path, offset };
      if (isChecked) checkStored(tensor, what);
      return [name, tensor];
    }),
  );
}

/** Refuses infinities and NaN. */
function checkStored(tensor: FileTensor<FloatDtype>, what: string): void {
  let before = 0;
  for (const piece of piecesOf(tensor)) {
    const elements = isHalf(tensor.dtype) ? arrayOver(tensor.dtype, piece) : arrayOver("float32", piece);
    const at =
      elements instanceof Float32Array
        ? firstNonFinite(new Uint32Array(elements.buffer, 0, elements.length))
        : endless(elements, tensor.dtype);
    if (at >= 0) throw notFinite(what, before + at);
    before += elements.length;
  }
}

const notFinite = (what: string, element: number): RetortError =>
  new RetortError(
    "InvalidArgument",
    `${what} holds an infinity or NaN (element ${element}); a model with such a weight computes nothing: take an earlier checkpoint, or download it again`,
  );

/** Index of the first infinity or NaN among half-precision numbers, by their bits; -1 if all are finite. */
function endless(bits: Uint16Array, dtype: FloatDtype): number {
  const exponent = dtype === "float16" ? 0x7c00 : 0x7f80;
  for (let i = 0; i < bits.length; i++) if (((bits[i] as number) & exponent) === exponent) return i;
  return -1;
}

/** The element type that most of a checkpoint's numbers have. */
export function dtypeOf(tensors: ReadonlyMap<string, StoredTensor>): FloatDtype {
  const counts = new Map<FloatDtype, number>();
  for (const { entry } of tensors.values()) {
    if (!isKnown(entry.dtype)) continue;
    const dtype = dtypes[entry.dtype];
    counts.set(dtype, (counts.get(dtype) ?? 0) + sizeOf(entry.shape));
  }
  const [most] = [...counts].sort(([, a], [, b]) => b - a);
  return most?.[0] ?? "float32";
}
