import type { RopeScaling } from "./rope.js";

/** The traits in which the supported decoders differ. */
export interface Traits {
  /** Biases on the query, key and value projections. */
  readonly qkvBias: boolean;
  /** A bias on the output projection of the attention. */
  readonly outputBias: boolean;
  /** Biases on the three projections of the feed-forward part. */
  readonly mlpBias: boolean;
  /** RMS norm over each head of queries and keys before the rotation. */
  readonly qkNorm: boolean;
}

/** What the forward pass needs to know of a model: a normalised config.json. */
export interface ModelConfig extends Traits {
  /** Hugging Face's `model_type`; see the table of architectures. */
  readonly architecture: string;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling | undefined;
  readonly rmsNormEps: number;
  readonly maxPositions: number;
  readonly tieWordEmbeddings: boolean;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  readonly padId: number | undefined;
  /** Standard deviation of the matrices of a model from scratch. */
  readonly initializerRange: number;
}
