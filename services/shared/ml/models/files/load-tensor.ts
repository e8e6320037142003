import { join } from "node:path";
import { RetortError } from "../../../base/errors.js";
import type { Tensor } from "../../graph/tensor.js";
import { readModelJson } from "../checkpoint/model-json.js";
import { nameTensors } from "../checkpoint/names.js";
import { openCheckpoint } from "../checkpoint/open.js";
import { readStored } from "../checkpoint/read.js";
import { parseConfig } from "../parse-config.js";

export { readModelJson } from "../checkpoint/model-json.js";

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
  const config = parseConfig(await readModelJson(directory, "config.json"), {}, join(directory, "config.json"));
  const stored = nameTensors(await openCheckpoint(directory), config).get(name);
  return stored && (await readStored(new Map([[name, stored]]))).get(name);
}
