/** One completion that is wanted. */
export interface SampleRequest {
  readonly promptIds: Int32Array;
  /** The n-th token of the completion is drawn with the n-th pair of numbers of the stream that this names. */
  readonly seed: bigint;
  /** Most tokens of this completion, where that is not the call's `maxNewTokens`. */
  readonly maxNewTokens?: number;
  /**
   * Names a conversation that goes on, so long as its turns end with a stop token: what is read of it is kept where memory allows, and the
   * next request of this name reads only what is new. What is written is the same, but for rounding.
   */
  readonly conversation?: string;
}

/** What a run added to one completion. */
export interface Piece {
  /** Position of the request. */
  readonly index: number;
  readonly ids: readonly number[];
  readonly logprobs: readonly number[];
}

/** What was sampled for one request: N tokens. */
export interface Completion {
  /** At least one token; the stop token included. */
  readonly ids: Int32Array;
  /** Log-probability of each token under the model at temperature 1, whatever it was drawn with. */
  readonly logprobs: Float32Array;
  /** Log-probability of each token under what it was drawn from: temperature and truncation applied; 0 when greedy. */
  readonly samplingLogprobs: Float32Array;
  /** [N, topIds]: at each position the most probable tokens in falling order; present if they were asked for. */
  readonly topIds?: Int32Array;
  readonly finish: "stop" | "length";
}
