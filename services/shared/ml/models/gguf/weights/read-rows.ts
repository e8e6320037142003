import type { FileHandle } from "node:fs/promises";
import { RetortError } from "../../../../base/errors.js";
import { readInto } from "../../../../base/file-bytes.js";
import { found } from "../../../../base/found.js";
import { firstNonFinite } from "../../safetensors/widen.js";
import type { GgufTensor } from "../header/tensors.js";

/** What a GGUF's converter did to a tensor, which is undone. */
export interface Change {
  /**
   * Rows of each head, whose halves lie interleaved (row 2i is the head's row i, row 2i + 1 its row i + rows/2): llama.cpp
   * rotates pairs of neighbours where Hugging Face rotates halves.
   */
  readonly interleavedRows?: number;
  /** What was added to every element: 1 in the norms of the Gemma families. */
  readonly added?: number;
}

/** About how many bytes are read at once. */
const pieceBytes = 1 << 22;

/**
 * The elements of a tensor as float32 from its first to its last, piece by piece, as they were before the conversion.
 *
 * @param what names file and tensor in errors
 * @throws DataLoss if the file is cut off; InvalidArgument if an element is not finite
 */
export async function* readRows(file: FileHandle, tensor: GgufTensor, change: Change, what: string): AsyncGenerator<Float32Array> {
  const block = found(tensor.type.block, `a format of ${tensor.type.name}`);
  const { elements, bytes } = unitOf(tensor, change, block);
  const perPiece = Math.max(1, Math.floor(pieceBytes / bytes));
  for (let done = 0; done < tensor.bytes; done += perPiece * bytes) {
    const from = new Uint8Array(Math.min(perPiece * bytes, tensor.bytes - done));
    await readInto(file, tensor.start + done, from, what);
    const values = new Float32Array((from.length / bytes) * elements);
    block.decode(from, values);
    checkFinite(values, what);
    if (change.added !== undefined) for (let i = 0; i < values.length; i++) values[i]! -= change.added;
    yield change.interleavedRows === undefined ? values : apart(values, elements, change.interleavedRows);
  }
}

/** The fewest elements that are read together: a block, or a head. */
function unitOf({ shape, bytes }: GgufTensor, { interleavedRows }: Change, block: { elements: number; bytes: number }) {
  if (interleavedRows === undefined) return { elements: block.elements, bytes: block.bytes };
  const heads = (shape[0] ?? 1) / interleavedRows;
  return { elements: shape.reduce((product, size) => product * size, 1) / heads, bytes: bytes / heads };
}

/** Heads of `rows` rows each, their interleaved halves one behind the other again. */
function apart(values: Float32Array, headElements: number, rows: number): Float32Array {
  const out = new Float32Array(values.length);
  const width = headElements / rows;
  for (let head = 0; head < values.length; head += headElements)
    for (let row = 0; row < rows; row++) {
      const to = head + ((row >> 1) + (row & 1) * (rows / 2)) * width;
      out.set(values.subarray(head + row * width, head + (row + 1) * width), to);
    }
  return out;
}

function checkFinite(values: Float32Array, what: string): void {
  const at = firstNonFinite(new Uint32Array(values.buffer, values.byteOffset, values.length));
  if (at >= 0) throw new RetortError("InvalidArgument", `${what} holds ${values[at]}; a model with such a weight computes nothing`);
}
