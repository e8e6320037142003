import { exportedConfig } from "../../../../../services/shared/ml/models/exported-config.js";
import { parseConfig } from "../../../../../services/shared/ml/models/parse-config.js";
import { config, gemma, type Json, qwen3, sizes } from "../../../../support/models/written-configs.js";

describe("parseConfig()", () => {
  it.each<[string, Json, RegExp]>([
    ["a multiplier of Granite", config({ attention_multiplier: 0.0078125 }), /attention_multiplier is 0.0078125: a model of type llama/],
    ["several at once", config({ residual_multiplier: 0.22, logits_scaling: 8 }), /residual_multiplier is 0.22, logits_scaling is 8/],
    ["a multiplier of 0", config({ embedding_multiplier: 0 }), /embedding_multiplier is 0/],
    ["an interleaved rotation", config({ rope_interleaved: true }), /rope_interleaved is true/],
    ["DeepSeek's word for it", config({ rope_interleave: true }), /rope_interleave is true/],
    [
      "soft caps",
      config({ attn_logit_softcapping: 50, final_logit_softcapping: 30 }),
      /attn_logit_softcapping is 50, final_logit_softcapping is 30/,
    ],
    ["another score scale", qwen3({ query_pre_attn_scalar: 256 }), /query_pre_attn_scalar is 256/],
    ["layers without rotation", config({ no_rope_layers: [1, 0, 1] }), /no_rope_layers/],
    ["experts", qwen3({ num_experts: 8 }), /num_experts is 8/],
    ["latent attention", config({ kv_lora_rank: 64 }), /kv_lora_rank is 64/],
    ["attention both ways", config({ is_causal: false }), /is_causal is false/],
    ["no head norms", qwen3({ use_qk_norm: false }), /use_qk_norm is false/],
    ["head norms where there are none", config({ qk_norm: true }), /qk_norm is true/],
    [
      "MiniCPM's scales",
      config({ scale_emb: 12, scale_depth: 1.4, dim_model_base: 256 }),
      /scale_emb is 12, scale_depth is 1.4, dim_model_base/,
    ],
    [
      "another activation under Gemma's name",
      config({ hidden_activation: "gelu_pytorch_tanh" }),
      /hidden_activation is "gelu_pytorch_tanh"/,
    ],
    ["weights in a file of another name", config({ transformers_weights: "x.safetensors" }), /transformers_weights/],
    ["another activation", config({ hidden_act: "gelu" }), /hidden_act is "gelu"; supported: silu/],
    ["biases that the family lacks", qwen3({ mlp_bias: true }), /mlp_bias is true; supported: false/],
    ["part of each head rotated", config({ partial_rotary_factor: 0.5 }), /partial_rotary_factor is 0.5; supported: 1/],
    [
      "the same within rope_parameters",
      config({ rope_parameters: { partial_rotary_factor: 0.5 } }),
      /rope_parameters\.partial_rotary_factor is 0.5/,
    ],
    ["longrope without its factors", config({ rope_parameters: { rope_type: "longrope" } }), /rope_parameters\.short_factor is missing/],
    [
      "longrope with too few factors",
      config({ rope_scaling: { type: "longrope", short_factor: [1], long_factor: [1] } }),
      /rope_scaling\.short_factor is \[1\]; supported: a list of 2 positive numbers/,
    ],
    ["a scaling of no known kind", config({ rope_scaling: { rope_type: "mrope" } }), /rope_scaling\.rope_type is "mrope"/],
    [
      "scalings by layer type",
      config({ rope_parameters: { full_attention: { rope_type: "default" } } }),
      /rope_parameters\.full_attention/,
    ],
    [
      "llama3 without its factors",
      config({ rope_scaling: { rope_type: "llama3", factor: 8 } }),
      /rope_scaling\.low_freq_factor is missing/,
    ],
    [
      "a base of null",
      config({ rope_parameters: { rope_type: "default", rope_theta: null } }),
      /rope_theta is null; supported: a positive number/,
    ],
    [
      "quantised weights",
      config({ quantization_config: { quant_method: "gptq", bits: 4 } }),
      /quantization_config .*gptq.*dequantise first/,
    ],
    ["MLX's word for them", config({ quantization: { bits: 4 } }), /quantization .*dequantise first/],
    ["a tied flag that is a word", config({ tie_word_embeddings: "false" }), /tie_word_embeddings is "false"; supported: true, false/],
    ["a number in a string", config({ rms_norm_eps: "1e-06" }), /rms_norm_eps is "1e-06"/],
    [
      "heads that cannot share keys",
      config({ num_key_value_heads: 3 }),
      /num_key_value_heads is 3; supported: a divisor of num_attention_heads/,
    ],
    [
      "layer types that slide without a window",
      qwen3({ layer_types: ["full_attention", "sliding_attention", "full_attention"] }),
      /layer_types has sliding_attention without/,
    ],
    [
      "layers of another kind",
      qwen3({ layer_types: ["linear_attention", "full_attention", "full_attention"] }),
      /layer_types is "linear_attention"/,
    ],
    ["too few layer types", qwen3({ layer_types: ["full_attention"] }), /layer_types .*all 3 layers/],
    [
      "one rotary embedding for layers of two kinds",
      config({ model_type: "olmo3", rope_parameters: { rope_type: "yarn", factor: 8 } }),
      /rope_parameters\.rope_type is "yarn"; supported: full_attention and sliding_attention/,
    ],
    [
      "a pattern of no layers",
      config({ model_type: "exaone4", num_key_value_heads: 4, sliding_window_pattern: "LLLG" }),
      /sliding_window_pattern is "LLLG"/,
    ],
    [
      "an order of norms that the family lacks",
      config({ model_type: "exaone4", num_key_value_heads: 4, reorder_and_qk_norm: false }),
      /reorder_and_qk_norm is false/,
    ],
    [
      "Hunyuan's heads of two sizes",
      config({ model_type: "hunyuan_v1_dense", attention_head_dim: 8 }),
      /attention_head_dim is 8; supported: the size of a head, 4/,
    ],
    ["keys that layers share", config({ model_type: "hunyuan_v1_dense", use_cla: true }), /use_cla is true; supported: false/],
    [
      "a base stretched by a word",
      config({ model_type: "hunyuan_v1_dense", rope_scaling: { type: "dynamic", alpha: "1000" } }),
      /rope_scaling\.alpha is "1000"; supported: a positive number/,
    ],
    [
      "a base stretched by nothing",
      config({ model_type: "hunyuan_v1_dense", rope_parameters: { rope_type: "dynamic", alpha: 0 } }),
      /rope_parameters\.alpha is 0; supported: a positive number/,
    ],
    ["what a family of today would need", config({ model_type: "apertus" }), /it needs the activation xIELU/],
    [
      "parts that are all known, together",
      config({ model_type: "jais2" }),
      /it needs a combination of parts that no supported family has;/,
    ],
    ["experts that are routed otherwise", config({ model_type: "dots1" }), /it needs shared experts and routing by sigmoid;/],
    ["too few marks of rotation", config({ model_type: "smollm3", no_rope_layers: [1, 0] }), /no_rope_layers .*all 3 layers/],
    ["marks that are neither", config({ model_type: "smollm3", no_rope_layers: [1, 0, 2] }), /no_rope_layers is \[1,0,2\]/],
    [
      "no window where layers slide by default",
      config({ model_type: "cwm", num_key_value_heads: 4, sliding_window: null }),
      /layer_types by default have sliding_attention without/,
    ],
    [
      "a multiplier of Granite's that is 0",
      config({ model_type: "granite", residual_multiplier: 0 }),
      /residual_multiplier is 0; supported/,
    ],
    [
      "Mistral under the name of llama",
      config({ sliding_window: 32 }),
      /sliding_window is 32, below max_position_embeddings 128.*set max_position_embeddings to 32/,
    ],
    [
      "a family of no name here",
      config({ model_type: "novel" }),
      /model_type is "novel"; supported: .*llama, .*\. another family has parts of its own/,
    ],
    ["a name of Object", config({ model_type: "toString" }), /model_type is "toString"/],
    ["no family", config({ model_type: undefined }), /model_type is missing; supported: .*llama/],
    [
      "a wrapper around a text model",
      { model_type: "qwen2_5_vl", text_config: qwen3({}) },
      /a model of more than text around a language model \(text_config, of type "qwen3"\)/,
    ],
    [
      "Gemma 3 with eyes, with the way to its text",
      { model_type: "gemma3", text_config: { model_type: "gemma3_text" }, vision_config: {} },
      /model_type is "gemma3".*of type "gemma3_text".*its language model is one of these; .*save_pretrained/,
    ],
    [
      "a Gemma that reads both ways",
      gemma("gemma3_text", { use_bidirectional_attention: true }),
      /use_bidirectional_attention is true; supported: false/,
    ],
    ["a Gemma without a bend", gemma("gemma", { hidden_act: "silu" }), /hidden_act is "silu"; supported: gelu, gelu_fast/],
    ["a second bend", gemma("gemma", { hidden_activation: "relu" }), /hidden_activation is "relu"/],
    ["a soft cap of 0", gemma("gemma2", { final_logit_softcapping: 0 }), /final_logit_softcapping is 0; supported: a positive number/],
    [
      "a cap on scores that Gemma 3's class passes over",
      gemma("gemma3_text", { attn_logit_softcapping: 50 }),
      /attn_logit_softcapping is 50: a model of type gemma3_text/,
    ],
    [
      "one rotary embedding for both kinds of Gemma 3's layers",
      gemma("gemma3_text", { rope_parameters: { rope_type: "linear", factor: 8 } }),
      /rope_parameters\.rope_type is "linear"; supported: full_attention and sliding_attention/,
    ],
    [
      "a scaling by a name that Gemma 3's class does not read",
      gemma("gemma3_text", { rope_scaling: { type: "linear", factor: 8 } }),
      /rope_scaling\.rope_type is missing; supported: .*its older name/,
    ],
    [
      "a local layer's scaling without a factor",
      gemma("gemma3_text", { rope_parameters: { sliding_attention: { rope_type: "linear" } } }),
      /rope_parameters\.sliding_attention\.factor is missing/,
    ],
    [
      "another scaling of Phi-3",
      config({ model_type: "phi3", rope_scaling: { type: "linear", factor: 2 } }),
      /rope_scaling\.type is "linear"; supported: default, longrope/,
    ],
    ["Phi-3 with biases", config({ model_type: "phi3", attention_bias: true }), /attention_bias is true; supported: false/],
    ["a head of Phi-3 with a bias", config({ model_type: "phi3", lm_head_bias: true }), /lm_head_bias is true; supported: false/],
    ["mixed attention of Phi-3", config({ model_type: "phi3", full_attn_mod: 2 }), /full_attn_mod is 2; supported: 1/],
    ["no scale of logits", config({ model_type: "cohere", logit_scale: null }), /logit_scale is null; supported: a positive number/],
    ["Command's parts one after the other", config({ model_type: "cohere2", use_parallel_block: false }), /use_parallel_block is false/],
    ["norms of heads where Command has none", config({ model_type: "cohere2", use_qk_norm: true }), /use_qk_norm is true/],
    [
      "Command without a window",
      config({ model_type: "cohere2", sliding_window: null }),
      /sliding_window is null; supported: a positive whole number/,
    ],
    ["a wrapper under a known name", config({ vision_config: { depth: 2 } }), /vision_config .*language models alone/],
  ])("refuses %s", (_, raw, message) => {
    expect(() => parseConfig(raw, {}, "DIR/config.json")).toThrow(message);
    expect(() => parseConfig(raw, {}, "DIR/config.json")).toThrow(/^DIR\/config\.json: /);
    expect(() => parseConfig(raw)).not.toThrow(/rename/);
  });

  it.each<[string, Json]>([
    [
      "settings that are off",
      { attention_multiplier: null, rope_interleaved: false, num_experts: 0, use_mrope: false, sliding_window: null },
    ],
    [
      "settings that say what is",
      { residual_multiplier: 1, hidden_activation: "silu", is_causal: true, no_rope_layers: [1, 1, 1], logit_scale: 1.0 },
    ],
    ["settings of training and generation", { attention_dropout: 0.1, temperature: 0.7, use_cache: false, gradient_checkpointing: true }],
    ["windows beyond the context", { sliding_window: 128 }],
    ["the other name of silu", { hidden_act: "swish" }],
    ["a token id of -1", { pad_token_id: -1 }],
    ["contexts of a million", { max_position_embeddings: 1010000 }],
  ])("passes %s", (_, keys) => {
    const { maxPositions, padId, ...rest } = parseConfig(config(keys));
    expect({ ...rest, padId: undefined }).toEqual({ ...parseConfig(config({})), maxPositions: undefined, padId: undefined });
  });

  it.each<[string, Json, (number | undefined)[]]>([
    ["every layer of a Mistral", config({ model_type: "mistral", num_key_value_heads: 4, sliding_window: 32 }), [32, 32, 32]],
    [
      "no layer of a Mistral without a window",
      config({ model_type: "mistral", num_key_value_heads: 4, sliding_window: null }),
      [undefined, undefined, undefined],
    ],
    [
      "the layers of a Qwen from max_window_layers on",
      qwen3({ use_sliding_window: true, sliding_window: 32, max_window_layers: 1 }),
      [undefined, 32, 32],
    ],
    [
      "the layers that layer_types names",
      qwen3({ use_sliding_window: true, sliding_window: 64, layer_types: ["full_attention", "full_attention", "sliding_attention"] }),
      [undefined, undefined, 64],
    ],
    [
      "the layers of a SmolLM3 that do not rotate",
      config({ model_type: "smollm3", no_rope_layers: [1, 0, 1], use_sliding_window: true, sliding_window: 32 }),
      [undefined, 32, undefined],
    ],
    ["all layers of a CWM but one in four", config({ model_type: "cwm", num_key_value_heads: 4, sliding_window: 32 }), [undefined, 32, 32]],
    ["no layer where the switch is off", qwen3({ sliding_window: 32, max_window_layers: 1 }), [undefined, undefined, undefined]],
  ])("lets %s see a window", (_, raw, windows) => {
    expect(parseConfig(raw).layerKinds.map(({ window }) => window)).toEqual(windows);
  });

  it("rotates the layers of a SmolLM3 that its config marks, or three in four", () => {
    const rotated = (keys: Json) => parseConfig(config({ model_type: "smollm3", ...keys })).layerKinds.map(({ rotary }) => !!rotary);
    expect(rotated({ no_rope_layers: [0, 1, 0] })).toEqual([false, true, false]);
    expect(rotated({ num_hidden_layers: 5 })).toEqual([true, true, true, false, true]);
    expect(rotated({ no_rope_layer_interval: 3 })).toEqual([true, true, false]);
  });

  it("rotates with a window the layers of an EXAONE 4 that slide, without one all", () => {
    const rotated = (keys: Json) =>
      parseConfig(config({ model_type: "exaone4", num_key_value_heads: 4, num_hidden_layers: 4, ...keys })).layerKinds.map(
        ({ rotary }) => !!rotary,
      );
    expect(rotated({})).toEqual([true, true, true, false]);
    expect(rotated({ sliding_window: null, layer_types: new Array(4).fill("full_attention") })).toEqual([true, true, true, true]);
    expect(rotated({ sliding_window_pattern: 2 })).toEqual([true, false, true, false]);
  });

  it("scales the rotary embedding of an OLMo 3 where layers see all, and has another base there", () => {
    const rope_scaling = { rope_type: "yarn", factor: 8, original_max_position_embeddings: 16 };
    const raw = config({ model_type: "olmo3", num_hidden_layers: 4, rope_theta: 1e4, rope_scaling });
    const { layerKinds } = parseConfig(raw);
    expect(layerKinds.map(({ rotary }) => [rotary?.theta, rotary?.scaling?.type])).toEqual([
      [5e5, undefined],
      [5e5, undefined],
      [5e5, undefined],
      [1e4, "yarn"],
    ]);
    expect(parseConfig(exportedConfig(raw)).layerKinds).toEqual(layerKinds);
  });

  it("has the size of a head from the width where a config says null", () => {
    const sizeOf = (keys: Json) => parseConfig(config({ model_type: "seed_oss", num_key_value_heads: 4, ...keys })).headDim;
    expect([sizeOf({}), sizeOf({ head_dim: null }), sizeOf({ head_dim: 6 })]).toEqual([128, 4, 6]);
  });

  it("rotates Gemma 3's layers by their kind, and Command's where they slide alone", () => {
    const thetas = (raw: Json) => parseConfig(raw).layerKinds.map(({ rotary }) => rotary?.theta);
    expect(thetas(gemma("gemma3_text", { sliding_window_pattern: 2, rope_theta: 500, rope_local_base_freq: 7 }))).toEqual([7, 500, 7]);
    expect(thetas(gemma("gemma3_text", { sliding_window_pattern: 3, sliding_window: 1024 }))).toEqual([1e4, 1e4, 1e6]);
    expect(thetas(config({ model_type: "cohere2", sliding_window_pattern: 3, sliding_window: 1024 }))).toEqual([1e4, 1e4, undefined]);
  });

  it("takes Phi-3's positions of short factors from outside of the scaling, or 4096", () => {
    const scaling = { type: "su", short_factor: [1, 1], long_factor: [2, 2], original_max_position_embeddings: 16 };
    const phi3 = (keys: Json) => parseConfig(config({ model_type: "phi3", max_position_embeddings: 8192, rope_scaling: scaling, ...keys }));
    expect([phi3({}).maxPositions, phi3({ original_max_position_embeddings: 64 }).maxPositions]).toEqual([4096, 64]);
    expect(phi3({}).layerKinds[0]?.rotary?.magnitude).toBeCloseTo(Math.sqrt(1 + Math.log(2) / Math.log(4096)));
  });

  it.each([
    ["llama", 2, 64, 2048, 10000, false],
    ["qwen2", 2, 32, 32768, 10000, false],
    ["qwen3", 128, 32, 32768, 10000, false],
    ["smollm3", 2, 4, 32768, 2e6, true],
    ["seed_oss", 128, 8, 524288, 10000, false],
    ["cwm", 128, 8, 131072, 1e6, false],
    ["granite", 2, 64, 2048, 10000, false],
    ["olmo2", 2, 64, 2048, 10000, false],
    ["arcee", 2, 64, 4096, 10000, false],
    ["ernie4_5", 128, 2, 131072, 5e5, true],
    ["exaone4", 2, 32, 2048, 10000, false],
    ["ministral", 2, 8, 131072, 10000, false],
    ["olmo3", 2, 64, 2048, 5e5, false],
    ["gemma", 256, 16, 8192, 10000, true],
    ["gemma2", 256, 4, 8192, 10000, true],
    ["gemma3_text", 256, 4, 131072, 10000, true],
    ["phi3", 2, 64, 4096, 10000, false],
    ["cohere", 2, 64, 8192, 500000, true],
    ["cohere2", 2, 64, 8192, 10000, true],
  ])("takes the defaults of its family for what a config of type %s leaves out", (model_type, ...expected) => {
    const left = { ...sizes, num_attention_heads: 64, hidden_size: 128 };
    const { headDim, kvHeads, maxPositions, layerKinds, tieWordEmbeddings } = parseConfig({ ...left, model_type });
    expect([headDim, kvHeads, maxPositions, layerKinds[0]?.rotary?.theta, tieWordEmbeddings]).toEqual(expected);
  });
});
