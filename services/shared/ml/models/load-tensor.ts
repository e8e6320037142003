import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { RetortError } from "../../base/errors.js";
import type { Tensor } from "../graph/tensor.js";
import { decodeSafetensors } from "./safetensors.js";

/**
 * Reads one tensor of a Hugging Face model directory, widened to float32, and nothing else of the weights.
 *
 * @throws NotFound or InvalidArgument naming the file or tensor that is missing
 */
export async function loadTensor(directory: string, name: string): Promise<Tensor<"float32">> {
  const found = await findTensor(directory, name);
  if (!found) throw new RetortError("InvalidArgument", `${directory}: tensor ${name} is missing`);
  return found;
}

/** As {@link loadTensor}; undefined if the model has no such tensor. */
export async function findTensor(directory: string, name: string): Promise<Tensor<"float32"> | undefined> {
  const { weight_map } = (await readModelJson(directory, "model.safetensors.index.json", {})) as { weight_map?: Record<string, string> };
  const file = weight_map ? weight_map[name] : "model.safetensors";
  return file === undefined ? undefined : readTensor(join(directory, file), name);
}

/** One tensor of a safetensors file; the rest of the file is not read. */
async function readTensor(path: string, name: string): Promise<Tensor<"float32"> | undefined> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw new RetortError("NotFound", `${path} cannot be read (${error.code}); a Hugging Face model directory is expected there`);
  });
  try {
    const read = async (position: number, length: number) => {
      const bytes = new Uint8Array(length);
      const { bytesRead } = await file.read(bytes, 0, length, position);
      if (bytesRead < length) throw new RetortError("DataLoss", `${path}: not a safetensors file, or cut off`);
      return bytes;
    };
    const length = Number(new DataView((await read(0, 8)).buffer).getBigUint64(0, true));
    if (8 + length > (await file.stat()).size) throw new RetortError("DataLoss", `${path}: not a safetensors file, or cut off`);
    const header = JSON.parse(Buffer.from(await read(8, length)).toString()) as Record<string, { data_offsets: [number, number] }>;
    const entry = header[name];
    if (!entry) return undefined;
    const [from, to] = entry.data_offsets;
    return decodeSafetensors(alone(name, { ...entry, data_offsets: [0, to - from] }, await read(8 + length + from, to - from)), path).get(
      name,
    )!;
  } finally {
    await file.close();
  }
}

/** A safetensors file with one tensor. */
function alone(name: string, entry: unknown, data: Uint8Array): Uint8Array {
  const text = JSON.stringify({ [name]: entry });
  const head = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const bytes = new Uint8Array(8 + head.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(head.length), true);
  bytes.set(head, 8);
  bytes.set(data, 8 + head.length);
  return bytes;
}

/** A JSON file of a model directory. @param fallback what stands for a file that is not there */
export async function readModelJson(directory: string, name: string, fallback?: Record<string, unknown>): Promise<Record<string, unknown>> {
  const path = join(directory, name);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (fallback && error.code === "ENOENT") return JSON.stringify(fallback);
    throw new RetortError("NotFound", `${path} cannot be read (${error.code}); a Hugging Face model directory is expected there`);
  });
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new RetortError("InvalidArgument", `${path} is not JSON: ${(error as Error).message}`);
  }
}
