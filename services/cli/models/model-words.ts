import type { ResolvedChat } from "../../shared/flow/runs/chat.js";
import { readDonor } from "../../shared/ml/models/files/donor.js";
import { Encoder } from "../../shared/ml/text/encoder.js";
import type { Tokenizer } from "../../shared/ml/text/tokenizer.js";

/** How a model directory reads text, without its weights. */
export interface ModelWords {
  readonly encoder: Encoder;
  readonly tokenizer: Tokenizer;
}

/** Reads a model directory's tokenizer and ends. @throws NotFound or InvalidArgument naming the file and the way out */
export async function wordsOf(directory: string, chat: ResolvedChat): Promise<ModelWords> {
  const { tokenizer, ends } = await readDonor(directory);
  return { encoder: new Encoder(tokenizer, ends.ids, chat), tokenizer };
}
