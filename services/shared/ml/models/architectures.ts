import type { Fields } from "./config/fields.js";

/** The traits in which the supported decoder families differ, read from their config.json. */
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

/** A family: its traits, and what its class in transformers takes for keys that a config leaves out. */
export interface Family {
  readonly traits: (read: Fields) => Traits;
  /** Head size where none is said; undefined: the width by the heads. */
  readonly headDim: number | undefined;
  /** Key and value heads where none are said; undefined: as many as there are heads. */
  readonly kvHeads: number | undefined;
  readonly maxPositions: number;
}

const none = { qkvBias: false, outputBias: false, mlpBias: false, qkNorm: false };

/** Every supported architecture, by Hugging Face's `model_type`. */
export const architectures = {
  llama: {
    traits: (read) => {
      const bias = read.flag("attention_bias");
      return { ...none, qkvBias: bias, outputBias: bias, mlpBias: read.flag("mlp_bias") };
    },
    headDim: undefined,
    kvHeads: undefined,
    maxPositions: 2048,
  },
  qwen2: { traits: () => ({ ...none, qkvBias: true }), headDim: undefined, kvHeads: 32, maxPositions: 32768 },
  qwen3: {
    traits: (read) => {
      const bias = read.flag("attention_bias");
      return { ...none, qkvBias: bias, outputBias: bias, qkNorm: true };
    },
    headDim: 128,
    kvHeads: 32,
    maxPositions: 32768,
  },
} as const satisfies Record<string, Family>;

export type Architecture = keyof typeof architectures;
