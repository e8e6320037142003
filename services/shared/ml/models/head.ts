import { createHash } from "node:crypto";
import { updateHash } from "../../base/file-bytes.js";
import type { Tensor } from "../graph/tensor.js";
import { openLanguageModel } from "./checkpoint/check.js";
import { readStored } from "./checkpoint/read.js";
import { headName } from "./params.js";

/** SHA-256 over dimensions and bytes of the weights that turn hidden states into logits, hexadecimal. */
export function headDigest({ dims, data }: Tensor<"float32">): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return updateHash(createHash("sha256").update(`[${dims}]`), bytes).digest("hex");
}

/**
 * Reads only the head [V, D] of a Hugging Face model directory, widened to float32: `lm_head.weight`, or the embedding
 * where they are tied, as {@link openLanguageModel} finds it for every reader.
 *
 * @throws NotFound, DataLoss or InvalidArgument naming the file or tensor, and the way out
 */
export async function loadHead(directory: string): Promise<Tensor<"float32">> {
  const { config, tensors } = await openLanguageModel(directory);
  const name = headName(config);
  return (await readStored(new Map([[name, tensors.get(name)!]]))).get(name)!;
}
