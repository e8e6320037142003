import { initModel, type Model } from "../../../services/shared/ml/models/model.js";
import { characterTokenizer } from "../../../services/shared/ml/text/character-tokenizer.js";

/** The forms in which encoder-decoders differ: gate, head of its own, as many layers in both parts or not. */
export const t5Configs = {
  "t5, as first published": { model_type: "t5", feed_forward_proj: "relu", num_layers: 2 },
  "flan-t5": { model_type: "t5", feed_forward_proj: "gated-gelu", tie_word_embeddings: false, num_layers: 3, num_decoder_layers: 2 },
} as const;

/** An encoder-decoder of a few thousand parameters whose distributions are far from flat, and go by the prompt and by positions. */
export function smallT5(config: Readonly<Record<string, unknown>> = t5Configs["t5, as first published"], seed = 7n, vocab = 150): Model {
  const sizes = { d_model: 32, d_ff: 48, d_kv: 6, num_heads: 4, relative_attention_num_buckets: 8, relative_attention_max_distance: 20 };
  const ids = { decoder_start_token_id: 0, eos_token_id: 2, pad_token_id: 0 };
  const model = initModel({ vocab_size: vocab, ...sizes, ...ids, ...config }, characterTokenizer("ab"), seed);
  for (const [name, { data }] of model.params) {
    if (/norm/.test(name)) for (let i = 0; i < data.length; i++) data[i]! += 0.3 * Math.sin(i * 1.7 + name.length);
    if (/relative_attention_bias/.test(name)) for (let i = 0; i < data.length; i++) data[i]! += 2 * Math.sin(i * 2.3 + name.length);
  }
  return model;
}
