import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import { float32, int32, int64, type Tensor } from "../graph/tensor.js";
import { needsTeacher, type Objective, readsSignal, signalOf } from "../losses/objective.js";
import { type ReplyText, replyFault, type SequenceInputs } from "../models/architectures/sequence-inputs.js";
import { cheapestBatches } from "../runtime/batches.js";
import { KeptFloats } from "../runtime/kept-floats.js";
import { checkLength, checkLogprobs } from "../signals/checks.js";
import { logFloor } from "../signals/logprobs.js";
import { checkSignal, type Score } from "../signals/score.js";
import type { ScorePart, TeacherHeads } from "../signals/signal.js";
import { signals } from "../signals/table.js";
import type { CountedTokens } from "./select-tokens.js";
import { checkSpans, type SpanGaps, type SpanLayout } from "./span-gaps.js";
import type { SpanMasses } from "./span-masses.js";

/** One sequence to train on. The arrays over completion tokens share the length N ≥ 1. */
export interface TrainSequence {
  readonly promptIds: Int32Array;
  /** The end token included; of several turns, those of all. */
  readonly completionIds: Int32Array;
  /** What was said to the writer between its turns: read, and not learnt. */
  readonly replies?: readonly ReplyText[];
  readonly score?: Score;
  /**
   * Where the teacher's tokens are others (its tokenizer is its own): the spans of text that both have. `score.logprobs` of each token then is
   * its span's. Absent: each token is scored by itself.
   */
  readonly spans?: SpanLayout;
  /** Beside spans, for a divergence between distributions: 1 for each token at which the teacher says something. The others don't count. */
  readonly known?: Uint8Array;
  /** Reward less its baseline. */
  readonly advantage?: number;
  /** Log-probability of each token under the sampler's weights at temperature 1; absent for dataset text. */
  readonly samplerLogprobs?: Float32Array;
  /** Who scored it, and how much that one counts beside others. Absent: all sequences without are one teacher's, of weight 1. */
  readonly teacher?: { readonly name: string; readonly weight: number };
}

/** Sequences of one micro-batch, with the place of each in the step's batch. */
export interface MicroBatch {
  readonly members: readonly number[];
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** Completion tokens, without the rows that fill up the last block. */
  readonly rows: number;
}

/**
 * Weight of each of a sequence's rows in the step's mean; over all rows they add up to 1. With one teacher, `sequence`: 1/(L_y · number
 * of sequences); `token`: 1/tokens of the whole step. With several teachers t of weights ω_t and balance `none`: ω_t/(L_y · Σ_y ω), or
 * ω_t/Σ_y ω L_y. With balance `teachers`, ω_t/Σ ω over the step's teachers, of which every sequence or token of t has an equal part.
 * The denominators belong to the step, so that a split into micro-batches changes nothing.
 *
 * @param counted which tokens count; absent: all. L_y and tokens are then numbers of those, and a sequence without any is left out
 */
export function rowWeights(
  batch: readonly TrainSequence[],
  { normalisation, balance }: Pick<Objective, "balance" | "normalisation">,
  counted?: CountedTokens,
): number[] {
  const lengths = batch.map(({ completionIds }, i) => counted?.[i]?.reduce((sum, one) => sum + one, 0) ?? completionIds.length);
  const units = lengths.map((length) => (normalisation === "token" ? length : Math.min(length, 1)));
  const perRow = (i: number, numerator: number, denominator: number) => {
    if (lengths[i] === 0) return 0;
    return normalisation === "token" ? numerator / denominator : numerator / (lengths[i]! * denominator);
  };
  const own = batch.map(({ teacher }) => teacher ?? { name: "", weight: 1 });
  if (balance !== "teachers") {
    const all = units.reduce((sum, unit, i) => sum + unit * own[i]!.weight, 0);
    return units.map((_, i) => perRow(i, own[i]!.weight, all));
  }
  const unitsOf = new Map<string, number>();
  for (const [i, { name }] of own.entries()) unitsOf.set(name, (unitsOf.get(name) ?? 0) + units[i]!);
  const weights = new Map(own.flatMap(({ name, weight }, i) => (lengths[i] ? [[name, weight] as const] : [])));
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  return own.map(({ name, weight }, i) => perRow(i, weight / total, found(unitsOf.get(name), "a teacher's units")));
}

/** How sequences become the inputs of a step's graph. */
export interface BatchLayout {
  /** What the student's forward pass is fed. */
  readonly inputs: SequenceInputs;
  readonly padId: number;
  readonly vocab: number;
  readonly objective: Objective;
  /** Rows are filled up with weight 0 to a multiple of this; 0 leaves them. */
  readonly blockRows: number;
  /** The same where there are no blocks: slices. Default 0. */
  readonly sliceRows?: number;
  /** Teachers' heads by their digests, for signals that need one. */
  readonly heads?: TeacherHeads;
  /** Which completion tokens of the whole batch count; absent: all. */
  readonly counted?: CountedTokens | undefined;
  /** Where what is as large as the logits is laid out: the batch before it is done with. Default: memory of its own. */
  readonly room?: KeptFloats | undefined;
  /** Members of the whole batch whose distributions are known to be such: see `soundRows`. Default: none. */
  readonly sound?: ReadonlySet<number> | undefined;
  /** Of each member of the whole batch, the log-ratios that its tokens answer for, where some member has spans. */
  readonly gaps?: ReadonlyMap<number, SpanGaps> | undefined;
  /** Of each member of the whole batch, what its spans are compared with by rank, where some member has spans. */
  readonly masses?: ReadonlyMap<number, SpanMasses> | undefined;
}

/** How a batch is split. */
export interface SplitOptions {
  /** Most tokens of a micro-batch, padding included. */
  readonly budget: number;
  /** What a micro-batch costs beside its tokens, in tokens. */
  readonly overhead: number;
}

/**
 * Splits a batch by length into the micro-batches that cost least; a sequence that is longer than the budget stands alone.
 * Hidden states of teachers with different heads come into different ones.
 */
export function splitBatch(
  batch: readonly TrainSequence[],
  { budget, overhead }: SplitOptions,
  { lengths }: Pick<SequenceInputs, "lengths">,
): number[][] {
  const heads = new Map<string, number[]>();
  batch.forEach(({ score }, i) => {
    const key = score?.headDigest ?? "";
    const own = heads.get(key) ?? [];
    heads.set(key, own);
    own.push(i);
  });
  return [...heads.values()].flatMap((members) => {
    const parts = cheapestBatches(
      members.map((i) => lengths(batch[i]!)),
      budget,
      overhead,
    );
    return parts.map((part) => part.map((i) => members[i]!));
  });
}

/**
 * Lays sequences out as the step graph's inputs: texts as the student's forward pass reads them, and one row per completion
 * token.
 *
 * @throws InvalidArgument naming the sequence, and the array or token that is at fault
 */
export function microBatch(batch: readonly TrainSequence[], members: readonly number[], layout: BatchLayout): MicroBatch {
  const { inputs, padId, vocab, objective, blockRows, sliceRows, counted, gaps, masses } = layout;
  const weights = rowWeights(batch, objective, counted);
  const sequences = members.map((i) => batch[i]!);
  sequences.forEach((sequence, i) => {
    checkSequence(sequence, members[i]!, vocab);
  });
  const { feeds, places } = inputs.layOut(sequences, padId);
  const rows = places.length;
  const unit = blockRows || sliceRows || 1;
  const padded = Math.ceil(rows / unit) * unit;
  const columns = emptyColumns(padded);
  columns.places.set(places);
  const given = gaps && { gaps: new Float32Array(padded), gapShares: new Float32Array(padded) };
  const spans = masses && emptyMasses(padded);
  const parts: ScorePart[] = [];
  let row = 0;
  sequences.forEach((sequence, i) => {
    const member = members[i]!;
    fillRows(columns, row, sequence, weights[member]!, member);
    counted?.[member]?.forEach((counts, n) => {
      if (!counts) columns.weights[row + n] = 0;
    });
    given?.gaps.set(found(gaps?.get(member), `the log-ratios of sequence ${member}`).gaps, row);
    given?.gapShares.set(found(gaps?.get(member), `the log-ratios of sequence ${member}`).shares, row);
    if (spans) fillMasses(spans, row, found(masses?.get(member), `the masses of sequence ${member}`));
    if (needsTeacher(objective)) parts.push(scorePart(columns, row, sequence, member, objective));
    row += sequence.completionIds.length;
  });
  return {
    members,
    rows,
    feeds: {
      ...feeds,
      ...columnFeeds(columns),
      rowCount: int64([rows]),
      ...(given ? floatFeeds(given) : {}),
      ...(spans ? floatFeeds(spans) : {}),
      ...(blockRows ? { blockRows: int64([blockRows], []) } : {}),
      ...(readsSignal(objective) ? signalFeeds(parts, padded, layout) : {}),
    },
  };
}

function signalFeeds(parts: readonly ScorePart[], rows: number, layout: BatchLayout) {
  const { objective, vocab, heads = new Map(), room = new KeptFloats(), sound = new Set() } = layout;
  const { signal, k, hiddenDtype } = objective;
  return signals[signal].layout({ k, hiddenDtype, vocab, rows, parts, heads, room, sound });
}

const emptyColumns = (rows: number) => ({
  places: new BigInt64Array(rows),
  labels: new Int32Array(rows),
  weights: new Float32Array(rows),
  samplerLogprobs: new Float32Array(rows),
  sampled: new Float32Array(rows),
  advantages: new Float32Array(rows),
  teacherLogprobs: new Float32Array(rows),
});

type Columns = ReturnType<typeof emptyColumns>;

/** Rows that fill up are in no span. */
const emptyMasses = (rows: number) => ({
  teacherBefore: new Float32Array(rows).fill(logFloor),
  studentBefore: new Float32Array(rows).fill(logFloor),
  slopes: new Float32Array(rows),
});

function fillMasses(columns: ReturnType<typeof emptyMasses>, row: number, own: SpanMasses): void {
  for (const name of ["teacherBefore", "studentBefore", "slopes"] as const) columns[name].set(own[name], row);
}

/** The columns as the loss's inputs, one element per row. */
function columnFeeds({ places, labels, ...columns }: Columns): Record<string, Tensor> {
  const dims = [labels.length];
  return { rows: { dtype: "int64", dims, data: places }, labels: int32(labels, dims), ...floatFeeds(columns) };
}

const floatFeeds = (columns: Readonly<Record<string, Float32Array>>): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(columns).map(([name, data]) => [name, float32(data, [data.length])]));

/** What would otherwise fail inside the graph with a message about an operator, or poison the weights. */
function checkSequence({ promptIds, completionIds, replies = [], advantage }: TrainSequence, member: number, vocab: number): void {
  if (promptIds.length === 0 || completionIds.length === 0)
    throw new RetortError("InvalidArgument", `sequence ${member}: prompt and completion need at least one token each`);
  const fault = replyFault({ completionIds, replies });
  if (fault) throw new RetortError("InvalidArgument", `sequence ${member}: ${fault}`);
  for (const id of [...promptIds, ...completionIds, ...replies.flatMap(({ ids }) => [...ids])])
    if (id < 0 || id >= vocab)
      throw new RetortError("InvalidArgument", `sequence ${member}: token id ${id} is outside the student's vocabulary of ${vocab}`);
  if (advantage !== undefined && !Number.isFinite(advantage))
    throw new RetortError("InvalidArgument", `sequence ${member}: the advantage is ${advantage}; look for a reward that is not finite`);
}

function fillRows(columns: Columns, row: number, sequence: TrainSequence, weight: number, member: number): void {
  const { completionIds, samplerLogprobs, advantage } = sequence;
  const count = completionIds.length;
  columns.labels.set(completionIds, row);
  columns.weights.fill(weight, row, row + count);
  columns.advantages.fill(advantage ?? 0, row, row + count);
  if (!samplerLogprobs) return;
  if (samplerLogprobs.length !== count)
    throw new RetortError(
      "InvalidArgument",
      `sequence ${member}: samplerLogprobs has ${samplerLogprobs.length} entries for ${count} completion tokens`,
    );
  checkLogprobs(samplerLogprobs, member, "samplerLogprobs");
  columns.samplerLogprobs.set(samplerLogprobs, row);
  columns.sampled.fill(1, row, row + count);
}

/** Checks a sequence's score, notes the log-probabilities of its tokens, and says where its rows are. */
function scorePart(columns: Columns, row: number, sequence: TrainSequence, member: number, objective: Objective): ScorePart {
  const { score, completionIds, spans } = sequence;
  const count = completionIds.length;
  if (spans) checkSpans(spans, count, member, objective);
  if (!score) throw new RetortError("InvalidArgument", `sequence ${member} has no teacher score, and the objective needs one`);
  checkSignal(score, signalOf(objective), member);
  if (!signals[objective.signal].needsHead) {
    const given = checkLength(score.logprobs, count, member, "logprobs");
    columns.teacherLogprobs.set(checkLogprobs(given, member, "score.logprobs"), row);
  }
  return { score, member, row, count };
}
