/** What a teacher can say about each token of a completion; {@link Score} says which arrays each kind has. */
export type SignalKind = "full" | "hidden" | "random_k" | "sampled" | "student_top_k" | "top_k";

/** Element type of hidden states on their way to the learner. */
export type HiddenDtype = "float16" | "float32";

/** What is asked of a teacher. */
export interface Signal {
  readonly kind: SignalKind;
  /** Classes of `top_k` and `student_top_k`, draws of `random_k`; ignored by the others. */
  readonly k: number;
  /** Divides the teacher's logits before the softmax; for `hidden` the learner does that. */
  readonly temperature: number;
  /** `hidden`: element type of the states. Default float16. */
  readonly hiddenDtype?: HiddenDtype;
}

/**
 * A teacher's answer for one completion of N tokens, in log-probabilities (natural logarithm) at the signal's
 * temperature. Arrays are row-major.
 */
export interface Score {
  readonly signal: Signal;
  /** [N]: the given token (all kinds but `hidden`). */
  readonly logprobs?: Float32Array;
  /** [N, V]: the whole distribution (`full`). */
  readonly full?: Float32Array;
  /**
   * [N, k]: the most probable classes, in falling order (`top_k`), or those that the student chose (`student_top_k`);
   * [N, U]: the classes that were drawn, filled up with class 0 (`random_k`).
   */
  readonly ids?: Int32Array;
  /** [N, k]: log-probabilities of `ids` (`top_k`, `student_top_k`). */
  readonly topLogprobs?: Float32Array;
  /** [N]: log of the mass outside `ids`; -Infinity if there is none (`top_k`, `student_top_k`). */
  readonly tail?: Float32Array;
  /** [N, U]: how often each of `ids` was drawn; they add up to k (`random_k`). */
  readonly counts?: Uint16Array;
  /** [N]: entropy of the teacher's distribution in nats (`random_k`). */
  readonly entropy?: Float32Array;
  /** [N, D]: last hidden state after the final norm, float32 or the bits of float16 (`hidden`). */
  readonly hidden?: Float32Array | Uint16Array;
  /** Names the weights that turn `hidden` into logits; see `headDigest`. */
  readonly headDigest?: string;
}

/** Kinds that speak about k classes or make k draws. */
export const hasK = (kind: SignalKind): boolean => kind === "top_k" || kind === "student_top_k" || kind === "random_k";

/** Largest k of a signal: counts are 16 bits wide, classes differ. */
export const largestK = (kind: SignalKind, vocab: number): number => (kind === "random_k" ? 65_535 : vocab);
