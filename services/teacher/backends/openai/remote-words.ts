import { RetortError } from "../../../shared/base/errors.js";
import { isArchitecture, textLayoutOf } from "../../../shared/ml/models/architectures/table.js";
import { readModelJson } from "../../../shared/ml/models/checkpoint/model-json.js";
import { placesOf } from "../../../shared/ml/models/checkpoint/places.js";
import { readDonor } from "../../../shared/ml/models/files/donor.js";
import { type ModelOutline, type TokenList, tokensOf } from "../../../shared/ml/models/files/outline-model.js";
import type { Tokenizer } from "../../../shared/ml/text/tokenizer.js";

/** What the files here say of a model that runs elsewhere. */
export interface RemoteWords {
  readonly tokenizer: Tokenizer;
  /** Rows of the vocabulary, as config.json has it. */
  readonly rows: number;
  readonly outline: Omit<ModelOutline, "vocabulary">;
  listed(): TokenList;
}

/**
 * Reads the tokenizer and the configs of a model that runs elsewhere; there need be no weights, and the model may be of any family
 * that reads a prompt and its completion as one text.
 *
 * @throws NotFound or InvalidArgument naming the file and the way out
 */
export async function readRemoteWords(directory: string): Promise<RemoteWords> {
  const { tokenizer, ends, shared } = await readDonor(directory);
  const raw = await readModelJson((await placesOf(directory)).model, "config.json", {});
  const architecture = typeof raw.model_type === "string" ? raw.model_type : "unknown";
  if (isArchitecture(architecture) && textLayoutOf({ architecture }) === "two")
    throw new RetortError(
      "InvalidArgument",
      `${directory} is an encoder-decoder (${architecture}), whose completions are no part of a prompt: a server cannot score them; leave \`server\` out`,
    );
  const rows = Number(shared.vocab_size);
  return {
    tokenizer,
    rows,
    listed: () => tokensOf(tokenizer),
    outline: {
      ...{ architecture, ends, vocabSize: rows, parameters: 0, warnings: [] },
      maxPositions: numberOf(raw.max_position_embeddings),
      hiddenSize: numberOf(raw.hidden_size),
      padId: tokenizer.specials.padId,
      specials: tokenizer.specials,
      tokenizerSize: tokenizer.size,
      tokenizerDigest: tokenizer.digest,
      templateDigest: tokenizer.templateDigest,
      encodingDigest: tokenizer.encodingDigest,
    },
  };
}

/** A size that only other families' configs may lack; 0 where it isn't known. */
const numberOf = (value: unknown): number => (typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : 0);
