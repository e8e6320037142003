import { counted } from "../../base/counted.js";
// Dimensions: N completion tokens, V rows of vocabulary, R rows that both models have, K top classes, C classes (V, or K + 1 with the tail last).
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import type { Score } from "../signals/score.js";

/** Per token of a completion, in nats: the divergences between teacher p and model q on the same prefix, and −log p. */
export interface TokenDivergences {
  /** KL(p ‖ q) */
  readonly forwardKl: Float32Array;
  /** KL(q ‖ p) */
  readonly reverseKl: Float32Array;
  /** −log p of the given token. */
  readonly teacherNll: Float32Array;
}

/** What is left out where 0 · log 0 would be NaN. */
const term = (logp: number, logq: number): number => (logp === Number.NEGATIVE_INFINITY ? 0 : Math.exp(logp) * (logp - logq));

/**
 * Divergences of a model from a teacher. Exact where the teacher's score is `full`; for `top_k` those between the k + 1
 * classes of the top k and the rest, which are lower bounds. Where one model has more rows of vocabulary (padding), both full
 * distributions range over the first R rows, which both have, renormalised.
 *
 * @param model the model's own score of the same tokens, kind `full`
 * @param teacher kind `full`, or `top_k` over as many rows as the model's
 * @throws InvalidArgument if the two do not belong to the same tokens or the teacher's score holds no distribution
 */
export function tokenDivergences(model: Score, teacher: Score): TokenDivergences {
  const count = teacher.logprobs?.length ?? 0;
  if (!model.full || model.logprobs?.length !== count)
    throw new RetortError("InvalidArgument", `the model's score must be full and over ${counted(count, "token")}`);
  if (teacher.full && teacher.full.length !== model.full.length) {
    const rows = Math.min(teacher.full.length, model.full.length) / count;
    return divergencesOf(overRows(model, rows), overRows(teacher, rows));
  }
  return divergencesOf(model, teacher);
}

/** An array of a score whose kind has it. */
const arrayOf = (score: Score, name: "full" | "logprobs"): Float32Array => found(score[name], `the score's ${name}`);

/** A full score over the first R rows, renormalised: log p[v] − log Σ_{u<R} p[u]. The score itself if it has no more rows. */
function overRows(score: Score, rows: number): Score {
  const [logp_N, logp_NV] = [arrayOf(score, "logprobs"), arrayOf(score, "full")];
  const count = logp_N.length;
  const vocab = logp_NV.length / count;
  if (vocab === rows) return score;
  const [logprobs, full] = [new Float32Array(count), new Float32Array(count * rows)];
  for (let n = 0; n < count; n++) {
    const logp_R = logp_NV.subarray(n * vocab, n * vocab + rows);
    const mass = logSumExp(logp_R);
    logprobs[n] = logp_N[n]! - mass;
    for (let v = 0; v < rows; v++) full[n * rows + v] = logp_R[v]! - mass;
  }
  return { ...score, logprobs, full };
}

function logSumExp(values: Float32Array): number {
  let highest = Number.NEGATIVE_INFINITY;
  for (const value of values) highest = Math.max(highest, value);
  let sum = 0;
  for (const value of values) sum += Math.exp(value - highest);
  return highest + Math.log(sum);
}

function divergencesOf(model: Score, teacher: Score): TokenDivergences {
  const [logp_N, logq_NV] = [arrayOf(teacher, "logprobs"), arrayOf(model, "full")];
  const count = logp_N.length;
  const vocab = logq_NV.length / count;
  const classes = classesOf(teacher, vocab);
  const [forwardKl, reverseKl] = [new Float32Array(count), new Float32Array(count)];
  for (let n = 0; n < count; n++) {
    classes(n, logq_NV.subarray(n * vocab, (n + 1) * vocab), (logp, logq) => {
      forwardKl[n]! += term(logp, logq);
      reverseKl[n]! += term(logq, logp);
    });
  }
  return { forwardKl, reverseKl, teacherNll: logp_N.map((logp) => -logp) };
}

/** Visits the classes of token n: log-probability under the teacher and under the model. */
type Classes = (n: number, logq_V: Float32Array, visit: (logp: number, logq: number) => void) => void;

function classesOf({ full, ids, topLogprobs, tail, signal }: Score, vocab: number): Classes {
  if (full) {
    return (n, logq_V, visit) => {
      for (let v = 0; v < vocab; v++) visit(full[n * vocab + v]!, logq_V[v]!);
    };
  }
  if (!ids || !topLogprobs || !tail)
    throw new RetortError("InvalidArgument", `a score of kind "${signal.kind}" holds no distribution; ask the teacher for full or top_k`);
  const { k } = signal;
  return (n, logq_V, visit) => {
    const chosen = ids.subarray(n * k, (n + 1) * k);
    chosen.forEach((v, i) => {
      if (v >= logq_V.length)
        throw new RetortError(
          "InvalidArgument",
          `the teacher's top classes have id ${v}, and the model ${logq_V.length} rows; ask for full`,
        );
      visit(topLogprobs[n * k + i]!, logq_V[v]!);
    });
    if (tail[n]! > Number.NEGATIVE_INFINITY) visit(tail[n]!, restOf(logq_V, chosen));
  };
}

/** Log of the mass outside `chosen`, as a sum of its own: 1 − Σ would cancel to nothing for a confident model. */
function restOf(logq_V: Float32Array, chosen: Int32Array): number {
  const left = new Set(chosen);
  let mass = 0;
  logq_V.forEach((logq, v) => {
    if (!left.has(v)) mass += Math.exp(logq);
  });
  return Math.log(mass);
}
