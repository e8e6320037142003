/** The traits in which the supported decoder families differ, read from their config.json. */
export interface Traits {
  /** Biases on the query, key and value projections. */
  readonly qkvBias: boolean;
  /** RMS norm over each head of queries and keys before the rotation. */
  readonly qkNorm: boolean;
}

type Config = Readonly<Record<string, unknown>>;

/** Every supported architecture, by Hugging Face's `model_type`. */
export const architectures = {
  llama: (config: Config): Traits => ({ qkvBias: config.attention_bias === true, qkNorm: false }),
  qwen2: (): Traits => ({ qkvBias: true, qkNorm: false }),
  qwen3: (config: Config): Traits => ({ qkvBias: config.attention_bias === true, qkNorm: true }),
} as const;

export type Architecture = keyof typeof architectures;
