// A teacher's probabilities over its own next token, where its spans meet the student's. Dimensions: N tokens of the student, K classes.
import { type NextTokens, type ReadText, unwrittenLogprob, type WrittenBytes } from "./next-tokens.js";
import { commonSpans } from "./spans.js";

/** The teacher's most probable classes at the end of each span, for comparison by rank: their ids don't matter, and simply count up. */
export interface SpanRanks extends NextTokens {
  /** [rows]: log-probability of the span's tokens before its last, to the teacher. */
  readonly before: Float32Array;
}

/**
 * What the teacher says at each span in common, for the last of the student's tokens in it: its distribution over the last of its own tokens
 * there. Of the other tokens nothing is said.
 *
 * @param count rows to make, N or more
 * @param vocab classes of the student: of more, the most probable are kept, and the others are part of the rest
 */
export function spanRanks(read: ReadText, { byteLengths }: Pick<WrittenBytes, "byteLengths">, count: number, vocab: number): SpanRanks {
  const given = read.byteLengths.length ? read.ids.length / read.byteLengths.length : 0;
  const k = Math.min(given, vocab);
  const found = {
    k,
    ids: Int32Array.from({ length: count * k }, (_, i) => i % k),
    topLogprobs: new Float32Array(count * k).fill(Number.NEGATIVE_INFINITY),
    tail: new Float32Array(count),
    known: new Uint8Array(count),
    before: new Float32Array(count),
  };
  for (const { to, otherFrom, otherTo } of commonSpans(byteLengths, read.byteLengths)) {
    const [n, last] = [to - 1, otherTo - 1];
    const classes = read.topLogprobs
      .slice(last * given, otherTo * given)
      .sort()
      .reverse();
    found.topLogprobs.set(classes.subarray(0, k), n * k);
    const rest = classes.subarray(k).reduce((sum, logprob) => sum + Math.exp(logprob), Math.exp(read.tail[last]!));
    found.tail[n] = Math.log(rest);
    found.known[n] = 1;
    // A teacher may rule out what the student wrote, which must stay a number.
    found.before[n] = read.logprobs.subarray(otherFrom, last).reduce((sum, logprob) => sum + Math.max(logprob, unwrittenLogprob), 0);
  }
  return found;
}
