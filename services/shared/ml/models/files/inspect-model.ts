import { type Ends, endsOf } from "../../text/ends.js";
import type { Tokenizer } from "../../text/tokenizer.js";
import { openLanguageModel } from "../checkpoint/check.js";
import { dtypeOf } from "../checkpoint/stored-weights.js";
import type { ModelConfig } from "../config/model-config.js";
import type { Lora } from "../lora.js";
import type { FloatDtype } from "../safetensors/widen.js";
import { loadTokenizer } from "./model-files.js";

/** A model directory that was looked at: its config and tokenizer, and of its weights the headers. */
export interface InspectedModel {
  readonly config: ModelConfig;
  /** What all of its weights are in; float32 where they mix element types. */
  readonly dtype: FloatDtype;
  readonly tokenizer: Tokenizer;
  readonly ends: Ends;
  /** What is unusual about the directory's files, and allowed; each names the directory. */
  readonly warnings: readonly string[];
  /** Whether the directory is a PEFT adapter's; config and weights are its base model's. */
  readonly adapted: boolean;
  /** What that adapter is. */
  readonly lora?: Lora;
}

/**
 * Reads a model directory's config and tokenizer, and of its weights the headers: whether every tensor of the config is there.
 *
 * @throws NotFound, DataLoss or InvalidArgument naming the file, the field or tensor, and the way out
 */
export async function inspectModel(directory: string): Promise<InspectedModel> {
  const { config, tensors, warnings, adapter } = await openLanguageModel(directory);
  const tokenizer = await loadTokenizer(directory);
  const ends = endsOf(tokenizer, config.eosIds);
  const own = adapter ? { adapted: true, lora: adapter.lora } : { adapted: false };
  return { config, dtype: dtypeOf(tensors), tokenizer, ends, warnings, ...own };
}
