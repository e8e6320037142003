import type { Ends } from "../../text/ends.js";
import type { SpecialIds, Tokenizer } from "../../text/tokenizer.js";
import { parameterCount } from "../model-params.js";
import { inspectModel } from "./inspect-model.js";

/** What its files say of a model, as plain data: for another thread, or another process. */
export interface ModelOutline {
  readonly architecture: string;
  /** Rows of the vocabulary. */
  readonly vocabSize: number;
  readonly maxPositions: number;
  readonly hiddenSize: number;
  readonly parameters: number;
  readonly padId: number | undefined;
  readonly ends: Ends;
  readonly specials: SpecialIds;
  /** How many ids the tokenizer has; there may be more rows. */
  readonly tokenizerSize: number;
  /** Digest of what the ids mean. */
  readonly tokenizerDigest: string;
  readonly templateDigest: string;
  /** Digest of how text becomes ids. */
  readonly encodingDigest: string;
  readonly warnings: readonly string[];
  /** Where it was asked for. */
  readonly vocabulary?: TokenList;
}

/** Tokens by id: `tokens[i]` is that of `ids[i]`; ids rise, and one that is missing has no token. */
export interface TokenList {
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
}

/** The outline of a model directory; see {@link inspectModel}. @param vocabulary whether to list its tokens */
export async function outlineModel(directory: string, vocabulary: boolean): Promise<ModelOutline> {
  const { config, tokenizer, ends, warnings } = await inspectModel(directory);
  const { architecture, vocabSize, maxPositions, hiddenSize, padId } = config;
  return {
    architecture,
    vocabSize,
    maxPositions,
    hiddenSize,
    parameters: parameterCount(config),
    padId: padId ?? tokenizer.specials.padId,
    ends,
    specials: tokenizer.specials,
    tokenizerSize: tokenizer.size,
    tokenizerDigest: tokenizer.digest,
    templateDigest: tokenizer.templateDigest,
    encodingDigest: tokenizer.encodingDigest,
    warnings,
    ...(vocabulary ? { vocabulary: tokensOf(tokenizer) } : {}),
  };
}

/** Every token of a tokenizer. */
export function tokensOf(tokenizer: Tokenizer): TokenList {
  const listed = Array.from({ length: tokenizer.size }, (_, id) => ({ id, token: tokenizer.idToToken(id) }));
  const known = listed.flatMap(({ id, token }) => (token === undefined ? [] : [{ id, token }]));
  return { ids: known.map(({ id }) => id), tokens: known.map(({ token }) => token) };
}
