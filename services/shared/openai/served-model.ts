import type { SamplingModel } from "../flow/rollouts/sample-stream.js";
import type { Score, Signal } from "../ml/signals/score.js";
import type { ScoreInput } from "../ml/signals/signal.js";

/** What can be done with a model that OpenAI's API is served over: what its gRPC service does. */
export interface CallableModel extends Pick<SamplingModel, "encode" | "completionTexts" | "sample"> {
  /** Scores every completion token of each sequence, `scores[i]` those of `inputs[i]`. */
  score(inputs: readonly ScoreInput[], signal: Signal): Promise<readonly Score[]>;
}

/** A model as OpenAI's API shows it. */
export interface ServedModel {
  /** What callers call it. */
  readonly name: string;
  /** Most tokens of a prompt and its completion. */
  readonly maxPositions: number;
  /** Which weights answer just now. */
  readonly fingerprint: string;
  readonly model: CallableModel;
}
