import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { RetortError } from "../../base/errors.js";
import type { Tensor } from "../graph/tensor.js";
import { readTensors } from "./safetensors-file.js";

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
  return file === undefined ? undefined : (await readTensors(join(directory, file), (one) => one === name)).get(name);
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
