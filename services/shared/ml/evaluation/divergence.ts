// Dimensions: N completion tokens, V vocabulary, K top classes, C classes (V, or K + 1 with the tail last).
import { RetortError } from "../../base/errors.js";
import type { Score } from "../scoring/score.js";

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
 * classes of the top k and the rest, which are lower bounds.
 *
 * @param model the model's own score of the same tokens, kind `full`
 * @param teacher kind `full` or `top_k`
 * @throws InvalidArgument if the two do not belong to the same tokens or the teacher's score holds no distribution
 */
export function tokenDivergences(model: Score, teacher: Score): TokenDivergences {
  const logp_N = teacher.logprobs ?? new Float32Array();
  const count = logp_N.length;
  const logq_NV = model.full;
  if (!logq_NV || model.logprobs?.length !== count)
    throw new RetortError("InvalidArgument", `the model's score must be full and over ${count} tokens`);
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
