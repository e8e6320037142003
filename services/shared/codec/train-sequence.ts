// Where records become what is scored and trained on: a sequence with its score (flow) as the scorer and the trainer take it (ml).
import { RetortError } from "../base/errors.js";
import { toFloat32, toInt32 } from "../flow/arrays.js";
import type { Sequence, SequenceScore } from "../gen/retort/v1/flow_pb.js";
import type { SequenceText } from "../ml/models/architectures/sequence-inputs.js";
import type { Score } from "../ml/signals/score.js";
import type { Answer, ScoreInput } from "../ml/signals/signal.js";
import type { SpanRanks } from "../ml/text/span-ranks.js";
import type { TrainSequence } from "../ml/training/batch.js";
import type { SpanLayout } from "../ml/training/span-gaps.js";
import type { Alignment } from "./align-score.js";
import { type Every, fromScoreRecord, type ScoreContext } from "./score-record.js";

/** A sequence's prompt, completion and replies. @throws DataLoss naming the array that is missing or damaged, after `where` */
export const sequenceTokens = (
  { promptIds, completionIds, replies }: Pick<Sequence, "promptIds" | "completionIds" | "replies">,
  where = "",
): SequenceText => ({
  promptIds: toInt32(promptIds, `${where}promptIds`),
  completionIds: toInt32(completionIds, `${where}completionIds`),
  ...(replies.length > 0 && { replies: replies.map(({ at, ids }, i) => ({ at, ids: toInt32(ids, `${where}replies[${i}].ids`) })) }),
});

/**
 * A sequence's tokens as the student's own weights score them: behind the student's prompt.
 *
 * @param where stands before the field's name in errors
 * @throws DataLoss naming the array that is missing or damaged
 */
export function scoreInput(sequence: Sequence, where = ""): ScoreInput {
  const { studentTopIds } = sequence;
  return {
    ...sequenceTokens(sequence, where),
    ...(studentTopIds ? { studentTopIds: toInt32(studentTopIds, `${where}studentTopIds`) } : {}),
  };
}

/** As {@link scoreInput}, behind the prompt that the teacher reads. */
export function teacherInput(sequence: Sequence, where = ""): ScoreInput {
  const { teacherPromptIds } = sequence;
  const input = scoreInput(sequence, where);
  return teacherPromptIds ? { ...input, promptIds: toInt32(teacherPromptIds, `${where}teacherPromptIds`) } : input;
}

/** A sequence's records, and what is known of them. */
export interface SequenceRecords extends Pick<ScoreContext, "signal" | "headDigest"> {
  readonly sequence: Sequence;
  /** Absent where no teacher was asked. */
  readonly score: SequenceScore | undefined;
  /** True where a sampler drew the tokens: its log-probabilities must be there. */
  readonly sampled: boolean;
  /** Of a score over the teacher's own tokens: where they meet the student's. */
  readonly alignment?: Alignment | undefined;
}

/**
 * A sequence with its score as the trainer takes it, without an advantage. Of one whose teacher has its own tokens, what lies in spans in
 * common.
 *
 * @param where stands before the field's name in errors
 * @throws DataLoss naming the array that is missing or damaged
 */
export function trainSequence(records: SequenceRecords, where = ""): TrainSequence {
  const { sequence, score, signal, headDigest, sampled, alignment } = records;
  const { samplerLogprobs, studentTopIds } = sequence;
  const tokens = sequenceTokens(sequence, where);
  if (alignment) {
    const whole = { ...tokens, ...(sampled ? { samplerLogprobs: toFloat32(samplerLogprobs, `${where}samplerLogprobs`) } : {}) };
    const { spans, logprobs, next, tokens: count } = alignment;
    const { known, k = signal.k, before, ...classes }: Partial<SpanRanks> = next ?? {};
    const score = { signal: { ...signal, k }, logprobs, ...classes };
    return { ...firstTokens(whole, count), spans: before ? { ...spans, before } : spans, ...(known && { known }), score };
  }
  if (score?.byteLengths)
    throw new RetortError("DataLoss", `${where}score has byteLengths: it is over the teacher's own tokens, which were not asked for`);
  const context = { signal, headDigest, studentTopIds, tokens: tokens.completionIds.length };
  return {
    ...tokens,
    ...(score ? { score: fromScoreRecord(score, context) } : {}),
    ...(sampled ? { samplerLogprobs: toFloat32(samplerLogprobs, `${where}samplerLogprobs`) } : {}),
  };
}

/** A sequence with only the first `most` tokens of its completion; 0 keeps all of them. A span that is scored as one isn't cut. */
export function firstTokens(sequence: TrainSequence, most: number): TrainSequence {
  const { replies, ...rest } = sequence;
  const { completionIds, samplerLogprobs, score, spans, known } = rest;
  if (most === 0 || most >= completionIds.length) return sequence;
  const tokens = spans ? wholeSpans(spans.starts, most) : most;
  const read = replies?.filter(({ at }) => at < tokens) ?? [];
  return {
    ...rest,
    completionIds: completionIds.subarray(0, tokens),
    ...(read.length > 0 ? { replies: read } : {}),
    ...(samplerLogprobs ? { samplerLogprobs: samplerLogprobs.subarray(0, tokens) } : {}),
    ...(spans ? { spans: firstSpans(spans, tokens) } : {}),
    ...(known ? { known: known.subarray(0, tokens) } : {}),
    ...(score ? { score: firstRows(score, tokens, completionIds.length) } : {}),
  };
}

/** How many tokens the spans have that lie within the first `most`; those of the first span, if it is longer. */
function wholeSpans(starts: Int32Array, most: number): number {
  const start = starts[most]!;
  if (start > 0) return start;
  const next = starts.findIndex((first) => first > 0);
  return next < 0 ? starts.length : next;
}

const firstSpans = ({ starts, words, alike, before }: SpanLayout, tokens: number): SpanLayout => ({
  ...{ alike, starts: starts.subarray(0, tokens), words: words.subarray(0, tokens) },
  ...(before ? { before: before.subarray(0, tokens) } : {}),
});

/** The first tokens of a score of `count`. Every array has as many elements for each. */
function firstRows({ signal, headDigest, ...arrays }: Score, tokens: number, count: number): Score {
  const cut = <T extends Float32Array | Int32Array | Uint16Array>(array: T | undefined) =>
    array?.subarray(0, (array.length / count) * tokens) as T | undefined;
  const { logprobs, full, ids, topLogprobs, tail, counts, entropy, hidden } = arrays;
  const answer: Every<Answer> = {
    logprobs: cut(logprobs),
    full: cut(full),
    ids: cut(ids),
    topLogprobs: cut(topLogprobs),
    tail: cut(tail),
    counts: cut(counts),
    entropy: cut(entropy),
    hidden: cut(hidden),
  };
  return { signal, headDigest, ...answer };
}
