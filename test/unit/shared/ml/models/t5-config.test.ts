import { architectureOf } from "../../../../../services/shared/ml/models/architectures/table.js";
import { configWarnings } from "../../../../../services/shared/ml/models/config/keys.js";
import { exportedConfig } from "../../../../../services/shared/ml/models/exported-config.js";
import { parseConfig } from "../../../../../services/shared/ml/models/parse-config.js";

type Json = Readonly<Record<string, unknown>>;

const config = (keys: Json = {}): Json => ({ model_type: "t5", ...keys });

describe("parseConfig() of a T5", () => {
  it("has transformers' defaults for what is left out", () => {
    expect(parseConfig(config())).toMatchObject({
      ...{ vocabSize: 32128, hiddenSize: 512, intermediateSize: 2048, layers: 6, heads: 8, kvHeads: 8, headDim: 64, normEps: 1e-6 },
      ...{ tieWordEmbeddings: true, logitScale: 512 ** -0.5, activation: "relu", attentionScale: 1, eosIds: [1], padId: 0 },
      encoderDecoder: { encoderLayers: 6, buckets: 32, maxDistance: 128, gated: false, startId: 0 },
    });
  });

  it.each<[string, Json, object]>([
    ["version 1.1", { feed_forward_proj: "gated-gelu", tie_word_embeddings: false }, { logitScale: 1, activation: "geluTanh" }],
    ["the form of transformers 5", { tie_word_embeddings: true, scale_decoder_outputs: false }, { logitScale: 1, tieWordEmbeddings: true }],
    ["another activation", { feed_forward_proj: "gated-silu" }, { activation: "silu" }],
    ["GELU without a gate", { feed_forward_proj: "gelu" }, { activation: "gelu" }],
    ["fewer layers in the decoder", { num_layers: 4, num_decoder_layers: 2 }, { layers: 2 }],
    ["null for as many as the encoder's", { num_layers: 4, num_decoder_layers: null }, { layers: 4 }],
    ["a trained length, which bounds nothing", { n_positions: 512 }, { maxPositions: 32768 }],
  ])("reads %s", (_, keys, expected) => {
    expect(parseConfig(config(keys))).toMatchObject(expected);
  });

  it("takes its own start token, else the pad token", () => {
    expect(parseConfig(config({ decoder_start_token_id: 5 })).encoderDecoder?.startId).toBe(5);
    expect(parseConfig(config({ pad_token_id: 7 })).encoderDecoder?.startId).toBe(7);
    expect(() => parseConfig(config({ pad_token_id: null }))).toThrow(/decoder_start_token_id is missing/);
  });

  it.each<[string, Json, RegExp]>([
    ["an unknown activation", { feed_forward_proj: "gated-tanh" }, /feed_forward_proj is "gated-tanh"; supported: relu/],
    ["no range for its buckets", { relative_attention_max_distance: 16 }, /relative_attention_max_distance is 16.*more than half.*\(16\)/],
    ["too few buckets", { relative_attention_num_buckets: 2 }, /relative_attention_num_buckets is 2; supported: 4 or more/],
    ["two names that differ", { d_model: 16, hidden_size: 32 }, /hidden_size and d_model are two names of one setting/],
    [
      "an activation beside feed_forward_proj",
      { feed_forward_proj: "gated-gelu", dense_act_fn: "relu" },
      /dense_act_fn is "relu"; supported: what feed_forward_proj \(gated-gelu\) says/,
    ],
    [
      "a gate beside feed_forward_proj",
      { is_gated_act: true },
      /is_gated_act is true; supported: what feed_forward_proj \(relu\) says, false/,
    ],
    [
      "what other decoders are told",
      { sliding_window: 4, partial_rotary_factor: 0.5, rms_norm_eps: 1, attention_bias: true },
      /sliding_window is 4, partial_rotary_factor is 0.5, rms_norm_eps is 1, attention_bias is true: a model of type t5/,
    ],
    ["experts", { num_experts: 8 }, /num_experts is 8/],
    ["quantised weights", { quantization_config: { bits: 4 } }, /the weights are quantised/],
  ])("refuses %s", (_, keys, message) => {
    expect(() => parseConfig(config(keys))).toThrow(message);
  });

  it("finds nothing strange in the configs that are published", () => {
    const published = config({
      ...{
        architectures: ["T5ForConditionalGeneration"],
        d_ff: 2048,
        d_kv: 64,
        d_model: 768,
        decoder_start_token_id: 0,
        dropout_rate: 0.1,
      },
      ...{ eos_token_id: 1, feed_forward_proj: "gated-gelu", initializer_factor: 1, is_encoder_decoder: true, layer_norm_epsilon: 1e-6 },
      ...{ n_positions: 512, num_decoder_layers: 12, num_heads: 12, num_layers: 12, output_past: true, pad_token_id: 0, use_cache: true },
      ...{ relative_attention_max_distance: 128, relative_attention_num_buckets: 32, tie_word_embeddings: false, vocab_size: 32128 },
      ...{ dense_act_fn: "gelu_new", is_gated_act: true, classifier_dropout: 0, is_decoder: false, transformers_version: "4.23.1" },
      task_specific_params: { summarization: { prefix: "summarize: " } },
    });
    expect(parseConfig(published).encoderDecoder?.gated).toBe(true);
    expect(configWarnings(published, architectureOf({ architecture: "t5" }).keys.read)).toEqual([]);
  });
});

describe("exportedConfig() of a T5", () => {
  it("says what transformers 4 and 5 read otherwise, and nothing of rotations", () => {
    const saved = exportedConfig(config({ tie_word_embeddings: false, dtype: "bfloat16" }));
    expect(saved).toEqual({
      ...config(),
      ...{ tie_word_embeddings: false, scale_decoder_outputs: false, decoder_start_token_id: 0, dtype: "float32", torch_dtype: "float32" },
    });
  });
});
