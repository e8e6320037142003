import { architectureOf } from "../../../services/shared/ml/models/architectures/table.js";
import { initModel, type Model } from "../../../services/shared/ml/models/model.js";
import { characterTokenizer } from "../../../services/shared/ml/text/character-tokenizer.js";

/** The traits in which decoders differ: biases, head norms, shared keys, a head of its own. */
export const smallConfigs = {
  cohere: { model_type: "cohere", num_attention_heads: 4, num_key_value_heads: 2, use_qk_norm: true, logit_scale: 0.5 },
  cohere2: {
    model_type: "cohere2",
    num_attention_heads: 4,
    num_key_value_heads: 2,
    sliding_window: 3,
    sliding_window_pattern: 2,
    logit_scale: 0.5,
  },
  gemma: { model_type: "gemma", num_attention_heads: 4, num_key_value_heads: 2, head_dim: 8, hidden_act: "gelu_pytorch_tanh" },
  gemma2: {
    ...{ model_type: "gemma2", num_attention_heads: 4, num_key_value_heads: 2, head_dim: 8, query_pre_attn_scalar: 4 },
    ...{ sliding_window: 3, attn_logit_softcapping: 2, final_logit_softcapping: 8 },
  },
  gemma3_text: {
    ...{ model_type: "gemma3_text", num_attention_heads: 4, num_key_value_heads: 2, head_dim: 8, query_pre_attn_scalar: 4 },
    ...{ sliding_window: 3, sliding_window_pattern: 2, rope_theta: 1000, rope_local_base_freq: 50 },
  },
  llama: { model_type: "llama", num_attention_heads: 4, num_key_value_heads: 2, tie_word_embeddings: true },
  "llama, one key per head, own head": { model_type: "llama", num_attention_heads: 2, num_key_value_heads: 2, tie_word_embeddings: false },
  "llama, all biases": {
    ...{ model_type: "llama", num_attention_heads: 4, num_key_value_heads: 2 },
    ...{ attention_bias: true, mlp_bias: true, tie_word_embeddings: true },
  },
  "llama, yarn": {
    ...{ model_type: "llama", num_attention_heads: 4, num_key_value_heads: 2, tie_word_embeddings: true },
    rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 24 },
  },
  "llama, longrope": {
    ...{ model_type: "llama", num_attention_heads: 4, num_key_value_heads: 2, tie_word_embeddings: true },
    rope_scaling: { rope_type: "longrope", factor: 2, short_factor: [1, 1.5, 2, 4], long_factor: [2, 3, 4, 8] },
  },
  gpt2: { model_type: "gpt2", n_head: 4, n_inner: 48, layer_norm_epsilon: 1e-5, scale_attn_by_inverse_layer_idx: true },
  gpt_bigcode: { model_type: "gpt_bigcode", n_head: 4, n_inner: 48, layer_norm_epsilon: 1e-5 },
  opt: { model_type: "opt", num_attention_heads: 4, ffn_dim: 48, init_std: 0.4, tie_word_embeddings: false },
  gpt_neox: { model_type: "gpt_neox", num_attention_heads: 4, tie_word_embeddings: false, hidden_act: "gelu" },
  "gpt_neox, one part after the other": {
    ...{ model_type: "gpt_neox", num_attention_heads: 2, rotary_pct: 0.5, use_parallel_residual: false, attention_bias: false },
    ...{ hidden_act: "gelu", tie_word_embeddings: true },
  },
  stablelm: { model_type: "stablelm", num_attention_heads: 4, num_key_value_heads: 2, use_parallel_residual: true, qk_layernorm: true },
  "stablelm, one part after the other": {
    ...{ model_type: "stablelm", num_attention_heads: 4, num_key_value_heads: 2, use_qkv_bias: true, tie_word_embeddings: true },
  },
  starcoder2: {
    ...{ model_type: "starcoder2", num_attention_heads: 4, num_key_value_heads: 2, sliding_window: 3, hidden_act: "gelu_pytorch_tanh" },
  },
  mixtral: { model_type: "mixtral", num_attention_heads: 4, num_key_value_heads: 2, num_local_experts: 4 },
  qwen3_moe: {
    ...{ model_type: "qwen3_moe", num_attention_heads: 4, num_key_value_heads: 2, head_dim: 8, tie_word_embeddings: true },
    ...{ num_experts: 5, num_experts_per_tok: 2, moe_intermediate_size: 24, mlp_only_layers: [1], norm_topk_prob: false },
  },
  mistral: { model_type: "mistral", num_attention_heads: 4, num_key_value_heads: 2, sliding_window: 3, tie_word_embeddings: false },
  phi3: {
    ...{ model_type: "phi3", num_attention_heads: 4, num_key_value_heads: 2, partial_rotary_factor: 0.75, sliding_window: 5 },
    rope_scaling: { type: "longrope", short_factor: [1, 1.5, 2], long_factor: [2, 3, 4] },
    original_max_position_embeddings: 48,
  },
  "qwen2, a layer that slides": {
    ...{ model_type: "qwen2", num_attention_heads: 4, num_key_value_heads: 1, tie_word_embeddings: true },
    ...{ use_sliding_window: true, sliding_window: 5, max_window_layers: 1 },
  },
  qwen2: { model_type: "qwen2", num_attention_heads: 4, num_key_value_heads: 1, tie_word_embeddings: true },
  qwen3: { model_type: "qwen3", num_attention_heads: 4, num_key_value_heads: 2, head_dim: 8, tie_word_embeddings: true },
  smollm3: {
    ...{ model_type: "smollm3", num_attention_heads: 4, num_key_value_heads: 2, no_rope_layers: [0, 1] },
    ...{ use_sliding_window: true, sliding_window: 3 },
  },
  seed_oss: { model_type: "seed_oss", num_attention_heads: 4, num_key_value_heads: 2, head_dim: 6, tie_word_embeddings: false },
  cwm: { model_type: "cwm", num_attention_heads: 4, num_key_value_heads: 2, head_dim: 8, sliding_window: 4 },
  granite: {
    ...{ model_type: "granite", num_attention_heads: 4, num_key_value_heads: 2, embedding_multiplier: 2, attention_multiplier: 0.4 },
    ...{ residual_multiplier: 0.5, logits_scaling: 3 },
  },
  arcee: { model_type: "arcee", hidden_act: "relu2", num_attention_heads: 4, num_key_value_heads: 2, mlp_bias: true },
  ernie4_5: { model_type: "ernie4_5", num_attention_heads: 4, num_key_value_heads: 2, head_dim: 8, use_bias: true },
  exaone4: {
    ...{ model_type: "exaone4", num_attention_heads: 4, num_key_value_heads: 2, sliding_window: 3, sliding_window_pattern: 2 },
    ...{ tie_word_embeddings: true },
  },
  helium: { model_type: "helium", num_attention_heads: 4, num_key_value_heads: 2, head_dim: 8, tie_word_embeddings: true },
  hunyuan_v1_dense: {
    ...{ model_type: "hunyuan_v1_dense", num_attention_heads: 4, num_key_value_heads: 2, attention_bias: true },
    rope_scaling: { type: "dynamic", factor: 1, alpha: 20 },
  },
  ministral: {
    ...{ model_type: "ministral", num_attention_heads: 4, num_key_value_heads: 2, sliding_window: 3 },
    ...{ layer_types: ["full_attention", "sliding_attention"] },
  },
  olmo3: {
    ...{ model_type: "olmo3", num_attention_heads: 4, num_key_value_heads: 2, sliding_window: 4 },
    ...{ layer_types: ["full_attention", "sliding_attention"] },
    rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 24 },
  },
  olmo2: { model_type: "olmo2", num_attention_heads: 4, num_key_value_heads: 2, attention_bias: true, tie_word_embeddings: false },
} as const;

/** A model of a few thousand parameters whose distributions are far from flat; biases and norms are not trivial either. */
export function smallModel(config: Readonly<Record<string, unknown>> = smallConfigs.llama, seed = 7n, vocab = 150): Model {
  const common = { hidden_act: "silu", hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2, max_position_embeddings: 96 };
  const { unread = [] } = architectureOf({ architecture: String(config.model_type) }).keys;
  const all = { vocab_size: vocab, initializer_range: 0.4, rms_norm_eps: 1e-5, eos_token_id: 2, ...common, ...config };
  const raw = Object.fromEntries(Object.entries(all).filter(([key]) => !unread.includes(key)));
  const model = initModel(raw, characterTokenizer("ab"), seed);
  for (const [name, { data }] of model.params) {
    if (/norm|ln_|bias/.test(name)) for (let i = 0; i < data.length; i++) data[i]! += 0.3 * Math.sin(i * 1.7 + name.length);
  }
  return model;
}

/**
 * A model with its matrices halved, of the size that a trained one's have: rounding to half precision goes far where logits lie as far
 * apart as small models' do.
 */
export function calm(model: Model): Model {
  for (const { data, dims } of model.params.values()) if (dims.length > 1) data.set(data.map((x) => 0.5 * x));
  return model;
}
