import { join } from "node:path";
import { RetortError } from "../../../base/errors.js";
import { jsonError, readJson } from "../../../base/json-text.js";
import { readRegular } from "../../../base/regular-files.js";
import { isObject } from "../config/fields.js";
import { isPointer, pointerError } from "../safetensors/pointer.js";
import { missingFile } from "./diagnose.js";

/**
 * A JSON file of a model directory.
 *
 * @param fallback what stands for a file that is not there
 * @throws NotFound or InvalidArgument naming the file, the reason and the way out
 */
export async function readModelJson(directory: string, name: string, fallback?: Record<string, unknown>): Promise<Record<string, unknown>> {
  const path = join(directory, name);
  const bytes = await readRegular(path).catch(async (error: NodeJS.ErrnoException) => {
    if (error instanceof RetortError) throw error;
    if (error.code === "ENOENT" && fallback) return undefined;
    if (error.code === "ENOENT") throw await missingFile(directory, name);
    const way = directory.endsWith(".gguf") ? "make one of the GGUF file with `retort import FILE DIR`" : "name one";
    throw new RetortError("NotFound", `${path} cannot be read (${error.code}); a Hugging Face model directory is expected there: ${way}`);
  });
  return bytes ? parseModelJson(bytes, path) : { ...fallback };
}

/** The object in a JSON file's bytes. @throws InvalidArgument naming the file and the reason */
export function parseModelJson(bytes: Uint8Array, path: string): Record<string, unknown> {
  if (isPointer(bytes)) throw pointerError(path);
  const text = Buffer.from(bytes).toString();
  if (text.trim() === "") throw new RetortError("InvalidArgument", `${path} is empty; copy or download it again`);
  let value: unknown;
  try {
    value = readJson(text);
  } catch (error) {
    throw new RetortError("InvalidArgument", `${jsonError(error, path)}; copy or download it again`);
  }
  if (!isObject(value)) throw new RetortError("InvalidArgument", `${path} is no JSON object; a Hugging Face model directory is expected`);
  return value as Record<string, unknown>;
}
