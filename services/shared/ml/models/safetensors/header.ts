import type { FileHandle } from "node:fs/promises";
import { RetortError } from "../../../base/errors.js";
import { readAt } from "../../../base/file-bytes.js";
import { entriesOf, type SafetensorsEntry } from "./entries.js";
import { isPointer, pointerError } from "./pointer.js";

// The safetensors format (Hugging Face): an 8-byte little-endian header length, a JSON header {name: {dtype, shape,
// data_offsets}}, then the tensors' bytes.

/** Where the tensors of a safetensors file lie. */
export interface SafetensorsHeader {
  /** Place of the first tensor's bytes in the file. */
  readonly start: number;
  readonly entries: readonly (readonly [name: string, entry: SafetensorsEntry])[];
}

/** The format's own limit of a header. */
const mostHeaderBytes = 100_000_000;

/**
 * Reads and checks the header of an open safetensors file: every tensor's bytes are as many as its shape calls for and lie
 * within the file.
 *
 * @throws DataLoss if the file is cut off or malformed; InvalidArgument for a git-lfs pointer
 */
export async function readHeader(file: FileHandle, path: string): Promise<SafetensorsHeader> {
  const { size } = await file.stat();
  const first = await readAt(file, 0, Math.min(size, 64), path);
  if (isPointer(first)) throw pointerError(path);
  const length = size >= 8 ? Number(new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true)) : Number.POSITIVE_INFINITY;
  if (8 + length > size || length > mostHeaderBytes)
    throw new RetortError("DataLoss", `${path}: not a safetensors file, or cut off (${size} bytes); copy or download it again`);
  const start = 8 + length;
  return { start, entries: entriesOf(await readAt(file, 8, length, path), path, size - start) };
}
