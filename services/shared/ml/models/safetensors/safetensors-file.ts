import type { FileHandle } from "node:fs/promises";
import { RetortError } from "../../../base/errors.js";
import { readInto } from "../../../base/file-bytes.js";
import { withRegular } from "../../../base/regular-files.js";
import type { Tensor } from "../../graph/tensor.js";
import type { SafetensorsEntry } from "./entries.js";
import { readHeader } from "./header.js";
import { checkElementType, firstNonFinite, widenInto } from "./widen.js";

/** Bytes of narrower elements that are held at once while they are widened. */
const pieceBytes = 1 << 22;

/**
 * Reads tensors of a safetensors file, widened to float32, one by one: the whole file may be larger than a buffer can be.
 *
 * @param wanted which of them; the others are not read
 * @throws NotFound if there is no such file; DataLoss if it is cut off or malformed; InvalidArgument for an element type
 */
export async function readTensors(path: string, wanted: (name: string) => boolean = () => true): Promise<Map<string, Tensor<"float32">>> {
  return withFile(path, async (file) => {
    const { start, entries } = await readHeader(file, path);
    const tensors = new Map<string, Tensor<"float32">>();
    for (const [name, entry] of entries.filter(([name]) => wanted(name)))
      tensors.set(name, await readTensor(file, start, entry, `${path}: tensor ${name}`));
    return tensors;
  });
}

/** Works with an open file, and closes it. @throws NotFound if it cannot be read; DataLoss if it is changed meanwhile */
export async function withFile<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
  return withRegular(path, work).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof RetortError || error.code === undefined) throw error;
    throw new RetortError("NotFound", `${path} cannot be read (${error.code}); a Hugging Face model directory is expected there`);
  });
}

/**
 * Reads one tensor, widened to float32 piece by piece: it takes the memory of the widened numbers and one piece.
 *
 * @param start where the file's tensors begin
 * @param what names file and tensor in errors
 */
export async function readTensor(file: FileHandle, start: number, entry: SafetensorsEntry, what: string): Promise<Tensor<"float32">> {
  const { dtype, shape, data_offsets } = entry;
  checkElementType(dtype, what);
  const [from, to] = data_offsets;
  const size = dtype === "F32" ? 4 : 2;
  const data = new Float32Array((to - from) / size);
  if (dtype === "F32") await readInto(file, start + from, new Uint8Array(data.buffer), what);
  else {
    const bits = new Uint32Array(data.buffer);
    const piece = new Uint8Array(Math.min(pieceBytes, to - from));
    for (let done = 0; done < to - from; done += piece.length) {
      const part = piece.subarray(0, Math.min(piece.length, to - from - done));
      await readInto(file, start + from + done, part, what);
      widenInto(bits, done / size, part, dtype);
    }
  }
  return { dtype: "float32", dims: shape, data };
}

/** Refuses infinities and NaN among weights. @throws InvalidArgument naming the tensor and the first of them */
export function checkFinite({ data }: Tensor<"float32">, what: string): void {
  const at = firstNonFinite(new Uint32Array(data.buffer, data.byteOffset, data.length));
  if (at < 0) return;
  throw new RetortError(
    "InvalidArgument",
    `${what} holds ${data[at]} (element ${at}); a model with such a weight computes nothing: take an earlier checkpoint, or download it again`,
  );
}
