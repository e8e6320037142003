// Probabilities by rank of text that student and teacher wrote in other tokens. Dimensions: N completion tokens, C = K + 1 ranks with the rest last.
import { logFloor } from "../signals/logprobs.js";
import type { SpanLayout } from "./span-gaps.js";

/** What a completion's tokens are compared with, by rank: inputs of the loss, see `RowInputs`. */
export interface SpanMasses {
  /** [N]: log-probability of what stands before the token in its span, to the teacher; {@link logFloor} for those that aren't the last of one. */
  readonly teacherBefore: Float32Array;
  /** [N]: the same, to the student. */
  readonly studentBefore: Float32Array;
  /** [N]: derivative of the step's loss by the token's log-probability, of those before a span's last. */
  readonly slopes: Float32Array;
}

/** The student's own side, before the step; absent where every span is one of its tokens. */
export interface StudentRanks {
  /** [N]: log-probability of each token. */
  readonly logprobs: Float32Array;
  /** [N, C]: log-probabilities of its most probable classes in falling order, and of the rest. */
  readonly ranks: Float32Array;
}

/** The teacher's, at each token. */
export interface TeacherRanks {
  /** [N, K], in falling order. */
  readonly topLogprobs: Float32Array;
  /** [N] */
  readonly tail: Float32Array;
}

/**
 * What is compared at the last token of each span: q(r) = Π q(y_i) · q_(r), over the span's tokens y_i before its last, and p(r) alike.
 * The product is held constant at the last token; what the loss owes to it, Σ_r sign(q(r) − p(r)) q(r) times the weight, is the slope of
 * every token in it.
 *
 * @param before [N] log Π p(z_j) of each span, at its last token
 * @param known [N] 1 where the teacher says something; absent: everywhere
 * @param weight of each span in the step's loss
 */
export function spanMasses(
  { starts }: Pick<SpanLayout, "starts">,
  { before, known }: { readonly before: Float32Array; readonly known?: Uint8Array | undefined },
  weight: number,
  teacher: TeacherRanks,
  student?: StudentRanks,
): SpanMasses {
  const count = starts.length;
  const masses = {
    teacherBefore: new Float32Array(count).fill(logFloor),
    studentBefore: new Float32Array(count).fill(logFloor),
    slopes: new Float32Array(count),
  };
  for (let end = 0; end < count; end++) {
    if (starts[end + 1] === starts[end] || known?.[end] === 0) continue;
    const start = starts[end]!;
    const own = student?.logprobs.subarray(start, end).reduce((sum, logprob) => sum + logprob, 0) ?? 0;
    masses.teacherBefore[end] = before[end]!;
    masses.studentBefore[end] = Math.max(own, logFloor);
    if (student && end > start) masses.slopes.fill(weight * slopeOf(student.ranks, own, teacher, before[end]!, end, count), start, end);
  }
  return masses;
}

/** Σ_r sign(q(r) − p(r)) q(r) at one token. */
function slopeOf(ranks: Float32Array, own: number, teacher: TeacherRanks, before: number, n: number, count: number): number {
  const width = ranks.length / count;
  let slope = 0;
  for (let r = 0; r < width; r++) {
    const logp = r < width - 1 ? teacher.topLogprobs[n * (width - 1) + r]! : teacher.tail[n]!;
    const q = Math.exp(ranks[n * width + r]! + own);
    slope += Math.sign(q - Math.exp(logp + before)) * q;
  }
  return slope;
}
