import { createHash } from "node:crypto";
import type { AddedToken, PostProcessor } from "./native/plan.js";
import { isRecord, type Json } from "./parse.js";

/** SHA-256 of a text, hexadecimal. */
export const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/**
 * SHA-256 over (id, token) of a whole vocabulary, added tokens among them: equal digests, equal meaning of every id.
 *
 * @param tokens sorted by id, then by their characters
 */
export function vocabularyDigest(tokens: readonly string[], ids: ArrayLike<number>): string {
  const hash = createHash("sha256");
  const step = 4096;
  for (let from = 0; from < tokens.length; from += step) {
    const lines = tokens.slice(from, from + step).map((token, i) => `${ids[from + i]!}\t${JSON.stringify(token)}\n`);
    hash.update(lines.join(""));
  }
  return hash.digest("hex");
}

/** What turns text into ids, besides the vocabulary. */
export interface Encoding {
  readonly tokenizer: Json;
  readonly added: readonly AddedToken[];
  readonly postProcessor?: PostProcessor;
}

/**
 * SHA-256 over what turns text into ids besides the vocabulary: normalizer, pre-tokenizer, the model's rules, post-processor
 * and the flags of added tokens. Two spellings of one rule (null and absent, merges as "a b" or as pairs) are one.
 */
export function encodingDigest({ tokenizer, added, postProcessor }: Encoding): string {
  const { vocab, merges, ...rules } = isRecord(tokenizer.model) ? tokenizer.model : {};
  // Unigram's vocabulary carries scores, which decide between pieces; the pieces themselves are the vocabulary's matter.
  const scores = Array.isArray(vocab) ? vocab.map((entry) => (Array.isArray(entry) ? entry[1] : entry)) : null;
  const pairs = Array.isArray(merges) ? merges.map(pairOf) : null;
  // Whether a token is special decides what decoding leaves out, not what encoding finds.
  const flags = added.map(({ content, single_word, lstrip, rstrip, normalized }) => [content, single_word, lstrip, rstrip, normalized]);
  const sorted = flags.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
  const post = postOf(postProcessor ?? tokenizer.post_processor);
  const parts = [tokenizer.normalizer, tokenizer.pre_tokenizer, post, modelRules(rules), scores, pairs, sorted];
  return sha256(JSON.stringify(parts.map(plain)));
}

const pairOf = (merge: unknown): unknown => {
  if (typeof merge !== "string") return merge;
  const space = merge.indexOf(" ");
  return [merge.slice(0, space), merge.slice(space + 1)];
};

/** The model's settings that are not as if they were absent. */
function modelRules(rules: Json): Json {
  const silent = (name: string, value: unknown) =>
    value === false || (value === "" && name !== "unk_token") || (name === "dropout" && value === 0);
  return Object.fromEntries(Object.entries(rules).filter(([name, value]) => !silent(name, value)));
}

/** A post-processor, or null if it puts no token around a text. */
function postOf(post: unknown): unknown {
  if (!isRecord(post) || post.type === "ByteLevel") return null;
  if (post.type === "template") return Array.isArray(post.tokens) && post.tokens.length === 0 ? null : post;
  const single = Array.isArray(post.single) ? post.single : undefined;
  return single?.every((piece) => isRecord(piece) && "Sequence" in piece) ? null : post;
}

/** A value with sorted keys, without nulls and without trim_offsets, which moves no id. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!isRecord(value)) return value ?? null;
  const entries = Object.entries(value).filter(([key, entry]) => entry !== null && entry !== undefined && key !== "trim_offsets");
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, entry]) => [key, plain(entry)]));
}
