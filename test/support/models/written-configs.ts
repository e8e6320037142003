/** A config.json. */
export type Json = Readonly<Record<string, unknown>>;

/** Sizes of a model of three layers. */
export const sizes = { vocab_size: 64, hidden_size: 16, intermediate_size: 24, num_hidden_layers: 3, num_attention_heads: 4 };
/** A Llama's config.json, but for these keys. */
export const config = (keys: Json): Json => ({ model_type: "llama", ...sizes, max_position_embeddings: 128, ...keys });
/** A Qwen3's config.json, but for these keys. */
export const qwen3 = (keys: Json): Json => config({ model_type: "qwen3", num_key_value_heads: 4, ...keys });
/** A config.json of a type of Gemma, but for these keys. */
export const gemma = (model_type: string, keys: Json): Json => config({ model_type, num_key_value_heads: 4, head_dim: 4, ...keys });
/** Llama 3's scaling of the rotary embedding. */
export const llama3 = { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
