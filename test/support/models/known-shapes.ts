import { parseConfig } from "../../../services/shared/ml/models/parse-config.js";

/** SmolLM2-135M's shape: 134,515,008 parameters. */
export const smolLm2 = parseConfig({
  ...{ model_type: "llama", vocab_size: 49_152, hidden_size: 576, intermediate_size: 1536, num_hidden_layers: 30 },
  ...{ num_attention_heads: 9, num_key_value_heads: 3, max_position_embeddings: 8192, rms_norm_eps: 1e-5, tie_word_embeddings: true },
});
