import { createHash } from "node:crypto";
import { join } from "node:path";
import { RetortError } from "../../base/errors.js";
import { updateHash } from "../../base/file-bytes.js";
import type { Tensor } from "../graph/tensor.js";
import { parseConfig } from "./config.js";
import { loadTensor, readModelJson } from "./load-tensor.js";
import { headName } from "./params.js";

/** SHA-256 over dimensions and bytes of the weights that turn hidden states into logits, hexadecimal. */
export function headDigest({ dims, data }: Tensor<"float32">): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return updateHash(createHash("sha256").update(`[${dims}]`), bytes).digest("hex");
}

/**
 * Reads only the head [V, D] of a Hugging Face model directory, widened to float32: `lm_head.weight`, or the embedding
 * where they are tied.
 *
 * @throws NotFound or InvalidArgument naming the file or tensor that is missing
 */
export async function loadHead(directory: string): Promise<Tensor<"float32">> {
  const config = parseConfig(await readModelJson(directory, "config.json"), {}, join(directory, "config.json"));
  const name = headName(config);
  const head = await loadTensor(directory, name);
  if (head.dims.join() !== `${config.vocabSize},${config.hiddenSize}`)
    throw new RetortError(
      "InvalidArgument",
      `${directory}: tensor ${name} has shape [${head.dims}]; config.json calls for [${config.vocabSize},${config.hiddenSize}]`,
    );
  return head;
}
