import { join } from "node:path";
import type { ResolvedChat } from "../../shared/flow/runs/chat.js";
import { parseConfig } from "../../shared/ml/models/config.js";
import { readModelJson } from "../../shared/ml/models/load-tensor.js";
import { Encoder } from "../../shared/ml/text/encoder.js";
import { endsOf } from "../../shared/ml/text/ends.js";
import { Tokenizer } from "../../shared/ml/text/tokenizer.js";

/** How a model directory reads text, without its weights. */
export interface ModelWords {
  readonly encoder: Encoder;
  readonly tokenizer: Tokenizer;
  readonly maxPositions: number;
}

/** Reads a model directory's config and tokenizer. @throws NotFound or InvalidArgument naming the file and the way out */
export async function wordsOf(directory: string, chat: ResolvedChat): Promise<ModelWords> {
  const tokenizer = await Tokenizer.load(directory);
  const raw = await readModelJson(directory, "config.json");
  const config = parseConfig(raw, await readModelJson(directory, "generation_config.json", {}), join(directory, "config.json"));
  const encoder = new Encoder(tokenizer, endsOf(tokenizer, config.eosIds).ids, chat);
  return { encoder, tokenizer, maxPositions: config.maxPositions };
}
