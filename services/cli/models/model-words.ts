import type { ResolvedChat } from "../../shared/flow/runs/chat.js";
import { textLayoutOf } from "../../shared/ml/models/architectures/table.js";
import { readConfig } from "../../shared/ml/models/checkpoint/check.js";
import { readDonor } from "../../shared/ml/models/files/donor.js";
import { Encoder, type TextLayout } from "../../shared/ml/text/encoder.js";
import type { Tokenizer } from "../../shared/ml/text/tokenizer.js";

/** How a model directory reads text, without its weights. */
export interface ModelWords {
  readonly encoder: Encoder;
  readonly tokenizer: Tokenizer;
}

/**
 * Reads a model directory's tokenizer and ends.
 *
 * @param layout of the model that is to read them; the directory's own if absent
 * @throws NotFound or InvalidArgument naming the file and the way out
 */
export async function wordsOf(directory: string, chat: ResolvedChat, layout?: TextLayout): Promise<ModelWords> {
  const { tokenizer, ends } = await readDonor(directory);
  const own = layout ?? textLayoutOf(await readConfig(directory));
  return { encoder: new Encoder(tokenizer, ends.ids, chat, own), tokenizer };
}
