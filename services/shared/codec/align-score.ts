// Where a teacher that reads text in its own tokens meets the student's. Dimensions: N tokens of the student, M of the teacher.
import { RetortError } from "../base/errors.js";
import { toUint16 } from "../flow/arrays.js";
import type { SequenceScore } from "../gen/retort/v1/flow_pb.js";
import type { Signal } from "../ml/signals/score.js";
import type { WrittenTokens } from "../ml/text/completion-tokens.js";
import { type NextTokens, type ReadText, unwrittenLogprob } from "../ml/text/next-tokens.js";
import type { SpanRanks } from "../ml/text/span-ranks.js";
import { commonSpans } from "../ml/text/spans.js";
import type { SpanLayout } from "../ml/training/span-gaps.js";
import { fromScoreRecord } from "./score-record.js";

/** A teacher's log-probabilities over the spans that its tokens and the student's have in common. */
export interface Alignment {
  /** How many of the student's tokens, from the first on, lie in such spans. */
  readonly tokens: number;
  readonly spanCount: number;
  readonly spans: SpanLayout;
  /** [tokens]: of each token's span, log p(span) = Σ log p(z) over the teacher's tokens z in it. */
  readonly logprobs: Float32Array;
  /** [tokens] rows: what the teacher expects the student to write, or what is compared by rank, where it was asked for its most probable classes. */
  readonly next?: NextTokens | SpanRanks | undefined;
}

/**
 * A score over the teacher's own tokens, as what it says of the text's next tokens is made of.
 *
 * @param signal that was asked for: top_k
 * @throws DataLoss naming an array that is missing or damaged
 */
export function readText(record: SequenceScore, signal: Signal, endId: number | undefined): ReadText {
  const byteLengths = record.byteLengths ? toUint16(record.byteLengths, "byteLengths") : new Uint16Array();
  const { logprobs, ids, topLogprobs, tail } = fromScoreRecord(record, { signal, tokens: byteLengths.length, headDigest: "" });
  if (!logprobs || !ids || !topLogprobs || !tail || ids.length !== signal.k * byteLengths.length || topLogprobs.length !== ids.length)
    throw new RetortError(
      "DataLoss",
      `the score over the teacher's own tokens lacks an array of top_k, or has not ${signal.k} classes a token`,
    );
  return { byteLengths, logprobs, ids, topLogprobs, tail, endId };
}

/** [tokens]: each token's equal share of its span's log-probability; they add up to that of the text. */
export function perToken({ starts }: SpanLayout, logprobs: Float32Array): Float32Array {
  const lengths = new Int32Array(starts.length);
  for (const start of starts) lengths[start]!++;
  return logprobs.map((logprob, n) => logprob / lengths[starts[n]!]!);
}

/**
 * The score of a completion that the teacher read in its own tokens, over the student's.
 *
 * @param signal that was asked for: sampled, or top_k
 * @param written how the student's tokens write the text
 * @returns undefined where the two have no span in common
 * @throws DataLoss if the record isn't one over the teacher's own tokens, or is damaged
 */
export function alignScore(record: SequenceScore, signal: Signal, written: WrittenTokens): Alignment | undefined {
  const { byteLengths } = record;
  if (!byteLengths)
    throw new RetortError(
      "DataLoss",
      "the score has no byteLengths, and the teacher was to read the text in its own tokens; do all teachers of the run have the same version?",
    );
  const others = toUint16(byteLengths, "byteLengths");
  const { logprobs } = fromScoreRecord(record, { signal, tokens: others.length, headDigest: "" });
  if (!logprobs) throw new RetortError("DataLoss", "the score over the teacher's own tokens has no logprobs");
  const common = commonSpans(written.byteLengths, others);
  const compared = common.at(-1)?.to ?? 0;
  const refused = written.noText && compared === written.byteLengths.length ? 1 : 0;
  const tokens = compared + refused;
  if (tokens === 0) return undefined;
  const starts = Int32Array.from({ length: tokens }, (_, n) => n);
  const aligned = new Float32Array(tokens).fill(unwrittenLogprob);
  for (const { from, to, otherFrom, otherTo } of common) {
    starts.fill(from, from, to);
    aligned.fill(
      logprobs.subarray(otherFrom, otherTo).reduce((sum, logprob) => sum + logprob, 0),
      from,
      to,
    );
  }
  const words = wordsOf(starts, written.beginsWord);
  const alike = common.every(({ from, to, otherFrom, otherTo }) => to - from === 1 && otherTo - otherFrom === 1);
  return { tokens, spanCount: common.length + refused, spans: { starts, words, alike }, logprobs: aligned };
}

/** The first token of each token's word, which ends where a span does. */
function wordsOf(starts: Int32Array, beginsWord: Uint8Array): Int32Array {
  let word = 0;
  return starts.map((start, n) => {
    // A token that no text has, behind the last one of the text, ends a word as the end token does.
    if (start === n && (beginsWord[n] ?? 1)) word = n;
    return word;
  });
}
