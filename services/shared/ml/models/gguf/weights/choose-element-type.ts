import type { FileHandle } from "node:fs/promises";
import { type ElementType, fits } from "./element-type.js";
import type { NamedTensor } from "./names.js";
import { readRows } from "./read-rows.js";

/**
 * The element type that weights are written in. By default the smallest that loses nothing: half precision of one kind stays
 * what it is, if the tensors beside it that are float32 (norms, biases) are the same in it; all else, and so everything
 * that was quantised, becomes float32.
 */
export async function chooseElementType(
  file: FileHandle,
  tensors: readonly NamedTensor[],
  path: string,
  wanted?: ElementType,
): Promise<ElementType> {
  if (wanted) return wanted;
  const types = new Set(tensors.map(({ tensor }) => tensor.type.name));
  const half = types.has("F16") ? "float16" : types.has("BF16") ? "bfloat16" : undefined;
  types.delete(half === "float16" ? "F16" : "BF16");
  types.delete("F32");
  if (half === undefined || types.size > 0) return "float32";
  // Norms of 1 + weight are others when the 1 is taken away, of whatever type they are.
  for (const { tensor, change } of tensors) {
    if (tensor.type.name !== "F32" && change.added === undefined) continue;
    for await (const values of readRows(file, tensor, change, `${path}: tensor ${tensor.name}`)) if (!fits(values, half)) return "float32";
  }
  return half;
}
