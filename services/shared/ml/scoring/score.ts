/** What a teacher says about each token. `full` and `top_k` are made today; the other kinds are reserved. */
export type SignalKind = "full" | "top_k";

/** What is asked of a teacher. */
export interface Signal {
  readonly kind: SignalKind;
  /** Classes of `top_k`; ignored by `full`. */
  readonly k: number;
  /** Divides the teacher's logits before the softmax. */
  readonly temperature: number;
}

/**
 * A teacher's answer for one completion of N tokens, in log-probabilities (natural logarithm) at the signal's
 * temperature. Arrays are row-major.
 */
export interface Score {
  readonly signal: Signal;
  /** [N]: the given token. */
  readonly logprobs: Float32Array;
  /** [N, V]: the whole distribution (`full`). */
  readonly full?: Float32Array;
  /** [N, k]: the most probable classes, in falling order (`top_k`). */
  readonly ids?: Int32Array;
  /** [N, k]: their log-probabilities (`top_k`). */
  readonly topLogprobs?: Float32Array;
  /** [N]: log of the mass outside `ids`; -Infinity if there is none (`top_k`). */
  readonly tail?: Float32Array;
}
