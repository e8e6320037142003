// The log-ratio of student and teacher over text that the two wrote in other tokens. Dimensions: N completion tokens.
import { RetortError } from "../../base/errors.js";
import { comparesDistributions, comparesRanks, type Objective, readsSignal } from "../losses/objective.js";

/** Which tokens of a completion are compared together; indices of its tokens. */
export interface SpanLayout {
  /** [N]: the first token of the span that each token belongs to. */
  readonly starts: Int32Array;
  /** [N]: the first token of the word that each token belongs to; a word is one span or several. */
  readonly words: Int32Array;
  /** Whether every span is one token of the student and one of the teacher: each token then answers for itself. */
  readonly alike: boolean;
  /**
   * [N], for objectives that compare ranks: at the last token of each span, the teacher's log-probability of its own tokens there before the
   * last, whose distribution the score then has.
   */
  readonly before?: Float32Array;
}

/** What a token answers for, and what it is reported with. */
export interface SpanGaps {
  /** [N]: Σ of Δ over what the token decides; the advantage is its negative. */
  readonly gaps: Float32Array;
  /** [N]: the token's equal share of its span's Δ; they add up to that of the completion. */
  readonly shares: Float32Array;
}

/**
 * What each token of a completion answers for. Of a span k, Δ_k = log q(k) − log p(k), where log q(k) is the sum over the student's tokens in it.
 *
 * How a teacher cuts up a word depends on all of it, and on what ends it: "hundr" is other tokens than "hundred". A token therefore answers
 * for all spans of its word and for the first one behind it; one that begins a word, also for the word before, which it has ended.
 * Where both have the same tokens, each answers for itself.
 *
 * @param logprobs [N] log q of each token
 * @param teacher [N] of each token, log p of its span
 */
export function spanGaps({ starts, words, alike }: SpanLayout, logprobs: Float32Array, teacher: Float32Array): SpanGaps {
  const count = starts.length;
  const lengths = new Int32Array(count);
  const ofSpan = new Float64Array(count);
  for (const [n, start] of starts.entries()) {
    lengths[start]!++;
    ofSpan[start]! += logprobs[n]!;
  }
  const ofWord = new Float64Array(count);
  const following = new Float64Array(count);
  let last = 0;
  for (const [n, start] of starts.entries()) {
    if (start !== n) continue;
    ofSpan[n]! -= teacher[n]!;
    const word = words[n]!;
    ofWord[word]! += ofSpan[n]!;
    if (word === n && n > 0) {
      following[last] = ofSpan[n]!;
      last = n;
    }
  }
  const before = (n: number) => (n > 0 && words[n] === n ? ofWord[words[n - 1]!]! : 0);
  const gapOf = (n: number) => ofWord[words[n]!]! + following[words[n]!]! + before(n);
  return {
    gaps: Float32Array.from(starts, (start, n) => (alike ? ofSpan[start]! : gapOf(n))),
    shares: Float32Array.from(starts, (start) => ofSpan[start]! / lengths[start]!),
  };
}

/**
 * Refuses what are no spans, and objectives that compare more than the given tokens' log-probabilities.
 *
 * @throws InvalidArgument naming the sequence and the token
 */
export function checkSpans({ starts, words, before }: SpanLayout, count: number, member: number, objective: Objective): void {
  const refuse = (what: string) => {
    throw new RetortError("InvalidArgument", `sequence ${member}: ${what}`);
  };
  const { divergence, signal } = objective;
  if (comparesDistributions(objective) ? signal !== "top_k" : divergence !== "opd" || readsSignal(objective))
    refuse(
      `its teacher has other tokens, of which ${divergence} with ${signal} isn't defined; use opd with sampled, or a divergence with top_k`,
    );
  if (comparesDistributions(objective) && objective.tokens)
    refuse(
      "its teacher has other tokens, which say something of some of the student's, and objective.tokens chooses among all; leave it out",
    );
  if (comparesRanks(objective) && before?.length !== count)
    refuse(`spans.before has ${before?.length ?? 0} entries for ${count} completion tokens`);
  for (const [name, firsts] of Object.entries({ starts, words })) {
    if (firsts.length !== count) refuse(`spans.${name} has ${firsts.length} entries for ${count} completion tokens`);
    const odd = firsts.findIndex((first, n) => first !== n && (n === 0 || first !== firsts[n - 1]));
    if (odd >= 0) refuse(`spans.${name}[${odd}] is ${firsts[odd]}; each token belongs to that of the token before it, or begins one`);
  }
  const split = words.findIndex((word, n) => word === n && starts[n] !== n);
  if (split >= 0) refuse(`spans.words[${split}] begins a word within a span`);
}
