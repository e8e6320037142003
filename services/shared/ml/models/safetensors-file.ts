import { type FileHandle, open } from "node:fs/promises";
import { RetortError } from "../../base/errors.js";
import type { Tensor } from "../graph/tensor.js";
import { decodeTensor, entriesOf, headerLength } from "./safetensors.js";

/** Most bytes of one read: what the system takes. */
const readBytes = 2 ** 30;

/**
 * Reads tensors of a safetensors file, widened to float32, one by one: the whole file may be larger than a buffer can be.
 *
 * @param wanted which of them; the others are not read
 * @throws NotFound if there is no such file; DataLoss if it is cut off or malformed; InvalidArgument for an element type
 */
export async function readTensors(path: string, wanted: (name: string) => boolean = () => true): Promise<Map<string, Tensor<"float32">>> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw new RetortError("NotFound", `${path} cannot be read (${error.code}); a Hugging Face model directory is expected there`);
  });
  try {
    const { size } = await file.stat();
    const length = size >= 8 ? headerLength(await readAt(file, 0, 8)) : Number.POSITIVE_INFINITY;
    const start = 8 + length;
    if (start > size) throw new RetortError("DataLoss", `${path}: not a safetensors file, or cut off (${size} bytes)`);
    const tensors = new Map<string, Tensor<"float32">>();
    for (const [name, entry] of entriesOf(await readAt(file, 8, length)).filter(([name]) => wanted(name))) {
      const [from, to] = entry.data_offsets;
      if (start + to > size) throw new RetortError("DataLoss", `${path}: tensor ${name} ends after the file; it is cut off`);
      tensors.set(name, decodeTensor(await readAt(file, start + from, to - from), entry, `${path}: tensor ${name}`));
    }
    return tensors;
  } finally {
    await file.close();
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(readBytes, length - done), position + done);
    if (bytesRead === 0) throw new RetortError("DataLoss", "a safetensors file was cut off while it was read");
    done += bytesRead;
  }
  return bytes;
}
