import type { EncoderDecoder } from "./encoder-decoder.js";
import type { Rotary } from "./rope.js";

/** How a family norms: by the root mean square (`rms`), the same with the scale 1 + weight, or LayerNorm, with a bias where it has one. */
export type NormKind = "rms" | "rmsPlusOne" | "layer";

/** What the feed-forward part bends its hidden units with; `gelu` by the error function, `geluTanh` by its approximation; `relu2`: relu squared. */
export type Activation = "gelu" | "geluTanh" | "relu" | "relu2" | "silu";

/** What each head of queries and keys is normed over: itself, itself with a scale of its own, or all heads together. */
export type QueryKeyNorm = "head" | "eachHead" | "whole";

/** What layers of one model may differ in. */
export interface LayerKind {
  /** How queries and keys are rotated; undefined: they are not. */
  readonly rotary: Rotary | undefined;
  /** How many tokens back a position sees, itself included; undefined: all. */
  readonly window: number | undefined;
  /** What q·k is multiplied with, where layers differ in it. */
  readonly attentionScale?: number;
}

/** Feed-forward parts of which a router gives each token to some. */
export interface Experts {
  /** In each layer that has them. */
  readonly count: number;
  readonly perToken: number;
  /** Hidden units of each. */
  readonly hiddenSize: number;
  /** A token's weights of its experts add up to 1; else they are what the router gives them among all. */
  readonly normalised: boolean;
  readonly inLayer: readonly boolean[];
}

/** What the forward pass needs to know of a model: a normalised config.json. */
export interface ModelConfig {
  /** Hugging Face's `model_type`; see the table of architectures. */
  readonly architecture: string;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** One for each layer. */
  readonly layerKinds: readonly LayerKind[];
  /** What an encoder-decoder has beside its decoder; undefined for a decoder alone. */
  readonly encoderDecoder?: EncoderDecoder | undefined;
  readonly norm: NormKind;
  readonly normEps: number;
  readonly activation: Activation;
  /** Biases on the query, key and value projections. */
  readonly qkvBias: boolean;
  /** A bias on the output projection of the attention. */
  readonly outputBias: boolean;
  /** Biases on the projections of the feed-forward part. */
  readonly mlpBias: boolean;
  /** Norms of queries and keys, before the rotation in most families, behind it in Hunyuan; undefined: none. */
  readonly qkNorm: QueryKeyNorm | undefined;
  /** Layers whose feed-forward part is experts; undefined: none. */
  readonly experts: Experts | undefined;
  /** Attention and feed-forward part read the same stream, and both are added to it at once. */
  readonly parallel: boolean;
  /** What q·k is multiplied with. */
  readonly attentionScale: number;
  /** c · tanh(score / c) for every attention score; undefined: as it is. */
  readonly attentionSoftCap: number | undefined;
  /** What embedded tokens, what a layer adds to the stream, and what logits are multiplied with. */
  readonly embeddingScale: number;
  readonly residualScale: number;
  readonly logitScale: number;
  /** c · tanh(logit / c) for every logit; undefined: as it is. */
  readonly logitSoftCap: number | undefined;
  readonly maxPositions: number;
  /** Rows of the table of learned positions that are added to embedded tokens; undefined: there is none. */
  readonly learnedPositions: number | undefined;
  readonly tieWordEmbeddings: boolean;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  readonly padId: number | undefined;
  /** Standard deviation of the matrices of a model from scratch, or what a family multiplies its own with. */
  readonly initializerRange: number;
}
