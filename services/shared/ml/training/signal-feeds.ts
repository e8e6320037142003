// Dimensions: R rows of a micro-batch, V vocabulary, K classes, U drawn classes, E width of the teacher's hidden states.
import { RetortError } from "../../base/errors.js";
import { float32, int32, type Tensor } from "../graph/tensor.js";
import type { Objective } from "../losses/objective.js";
import { checkClasses } from "../scoring/classes.js";
import { checkLength, checkLogprobs, checkMass } from "../signals/checks.js";
import type { Score, SignalKind } from "../signals/score.js";

/** One sequence's score and its place in the micro-batch. */
export interface ScorePart {
  readonly score: Score;
  /** Position of the sequence in the step's batch, for messages. */
  readonly member: number;
  /** Its first row, and how many it has. */
  readonly row: number;
  readonly count: number;
}

/** What lays the scores of a micro-batch out as the loss's inputs. */
export interface SignalLayout {
  readonly objective: Objective;
  readonly vocab: number;
  /** Rows of the micro-batch, those that fill up the last block included. */
  readonly rows: number;
  readonly parts: readonly ScorePart[];
}

/** The weights that turn hidden states into logits, [V, E], by digest. */
export type TeacherHeads = ReadonlyMap<string, Tensor<"float32">>;

type Feeds = Record<string, Tensor>;

function full({ rows, vocab, parts }: SignalLayout): Feeds {
  const full = new Float32Array(rows * vocab);
  for (const { score, member, row, count } of parts) {
    full.set(checkLogprobs(checkLength(score.full, count * vocab, member, "full"), member, "score.full"), row * vocab);
    checkMass(score.full!, count, undefined, member, "full");
  }
  return { "signal.full": float32(full, [rows, vocab]) };
}

function topK({ rows, vocab, parts, objective: { k } }: SignalLayout): Feeds {
  const ids = Int32Array.from({ length: rows * k }, (_, i) => i % k);
  const top = new Float32Array(rows * k);
  const tail = new Float32Array(rows);
  for (const { score, member, row, count } of parts) {
    ids.set(checkLength(score.ids, count * k, member, "ids"), row * k);
    checkClasses(score.ids!, k, vocab, `sequence ${member}: score.ids`);
    top.set(checkLogprobs(checkLength(score.topLogprobs, count * k, member, "topLogprobs"), member, "score.topLogprobs"), row * k);
    tail.set(checkLogprobs(checkLength(score.tail, count, member, "tail"), member, "score.tail"), row);
    checkMass(score.topLogprobs!, count, score.tail, member, "topLogprobs");
  }
  return { "signal.ids": int32(ids, [rows, k]), "signal.top": float32(top, [rows, k]), "signal.tail": float32(tail, [rows]) };
}

function randomK({ rows, vocab, parts, objective: { k } }: SignalLayout): Feeds {
  const width = Math.max(...parts.map(({ score, count }) => (score.ids?.length ?? 0) / count));
  const ids = new Int32Array(rows * width);
  const counts = new Float32Array(rows * width);
  const entropy = new Float32Array(rows);
  for (const part of parts) {
    const { score, member, row, count } = part;
    const own = (score.ids?.length ?? 0) / count;
    checkDraws(part, own, k, vocab);
    entropy.set(checkLength(score.entropy, count, member, "entropy"), row);
    for (let n = 0; n < count; n++) {
      ids.set(score.ids!.subarray(n * own, (n + 1) * own), (row + n) * width);
      counts.set(score.counts!.subarray(n * own, (n + 1) * own), (row + n) * width);
    }
  }
  return {
    "signal.ids": int32(ids, [rows, width]),
    "signal.counts": float32(counts, [rows, width]),
    "signal.entropy": float32(entropy, [rows]),
  };
}

function checkDraws({ score, member, count }: ScorePart, width: number, k: number, vocab: number): void {
  const refuse = (message: string) => {
    throw new RetortError("InvalidArgument", `sequence ${member}: ${message}`);
  };
  if (!Number.isInteger(width) || width === 0) refuse(`score.ids has ${score.ids?.length ?? 0} elements for ${count} tokens`);
  checkLength(score.counts, count * width, member, "counts");
  const stray = score.ids!.findIndex((id) => id < 0 || id >= vocab);
  if (stray >= 0) refuse(`score.ids[${stray}] is ${score.ids![stray]}, outside the vocabulary of ${vocab}`);
  for (let n = 0; n < count; n++) {
    const drawn = score.counts!.subarray(n * width, (n + 1) * width).reduce((a, b) => a + b, 0);
    if (drawn !== k) refuse(`the counts of token ${n} add up to ${drawn}; the objective asks for k=${k} draws`);
  }
  const bad = score.entropy?.findIndex((x) => !(x >= -1e-3 && x < Number.POSITIVE_INFINITY)) ?? -1;
  if (bad >= 0) refuse(`score.entropy[${bad}] is ${score.entropy![bad]}, which is no entropy`);
}

function hidden({ rows, parts, objective }: SignalLayout, heads: TeacherHeads): Feeds {
  const { headDigest } = parts[0]!.score;
  const head = heads.get(headDigest ?? "");
  if (!head) {
    throw new RetortError(
      "InvalidArgument",
      `sequence ${parts[0]!.member}: the score's hidden states belong to the head ${headDigest || "(none named)"}, and the learner has ${[...heads.keys()].join(", ") || "none"}; teacher and learner must read the same model directory`,
    );
  }
  const width = head.dims[1]!;
  const half = objective.hiddenDtype === "float16";
  const states = half ? new Uint16Array(rows * width) : new Float32Array(rows * width);
  for (const { score, member, row, count } of parts) {
    const own = checkLength(score.hidden, count * width, member, "hidden");
    if (half !== own instanceof Uint16Array)
      throw new RetortError("InvalidArgument", `sequence ${member}: score.hidden is not ${objective.hiddenDtype}`);
    const bad = own.findIndex((x) => (half ? (x & 0x7c00) === 0x7c00 : !Number.isFinite(x)));
    if (bad >= 0) throw new RetortError("InvalidArgument", `sequence ${member}: score.hidden[${bad}] is not finite`);
    states.set(own, row * width);
  }
  const dims = [rows, width];
  return {
    "signal.hidden": states instanceof Uint16Array ? { dtype: "float16", dims, data: states } : float32(states, dims),
    "signal.head": head,
  };
}

/** The loss's inputs for each kind of signal. @throws InvalidArgument naming the sequence and the array that is at fault */
export const signalFeeds: { readonly [Kind in SignalKind]: (layout: SignalLayout, heads: TeacherHeads) => Feeds } = {
  full,
  hidden,
  random_k: randomK,
  sampled: () => ({}),
  student_top_k: topK,
  top_k: topK,
};
