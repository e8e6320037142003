import { found } from "../../../base/found.js";
import { openLanguageModel } from "../checkpoint/check.js";
import { readStored } from "../checkpoint/read.js";
import type { Head } from "../model.js";
import { headName } from "../model-params.js";
import { weightOf } from "../param-spec.js";
import { firstRows } from "../vocabulary-rows.js";

/**
 * Reads only the head [V, D] of a Hugging Face model directory, widened to float32: `lm_head.weight`, or the embedding
 * where they are tied, as {@link openLanguageModel} finds it for every reader; with it the cap that its family puts on logits.
 *
 * @param rows how many of the first rows; 0 for all
 * @throws NotFound, DataLoss or InvalidArgument naming the file or tensor, and the way out
 */
export async function loadHead(directory: string, rows = 0): Promise<Head> {
  const { config, tensors } = await openLanguageModel(directory);
  const name = headName(config);
  const stored = found(tensors.get(name), `the head ${name}`);
  const head = weightOf(await readStored(new Map([[name, stored]])), name);
  return { ...(rows && rows < config.vocabSize ? firstRows(head, rows) : head), softCap: config.logitSoftCap };
}
