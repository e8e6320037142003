import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import { layerNormed } from "../config/keys.js";
import type { ModelConfig } from "../config/model-config.js";
import { plainFeedForward, twoParts } from "../forward/feed-forward.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";
import { attentionParams, embeddingOf, layerName, layersOf, norm, plainParams } from "./params.js";

const defaults: DecoderDefaults = {
  maxPositions: 4096,
  kvHeads: 2,
  windows: { slides: () => true },
  tied: true,
  normEps: ["norm_epsilon", 1e-5],
  activation: ["hidden_act", "gelu_pytorch_tanh"],
  activations: ["gelu", "geluTanh", "relu", "silu"],
};

/** StarCoder2 (Lozhkov et al. 2024): a Llama with layer norms, biases, a feed-forward part without a gate, and windows on all layers. */
export const starcoder2: Architecture = {
  ...llama,
  className: "Starcoder2",
  models: "StarCoder2",
  keys: {
    agreeing: {
      ...{ activation_function: ["gelu", "gelu_pytorch_tanh"], layer_norm_epsilon: [1e-5], mlp_type: ["default"] },
      ...{ ...layerNormed, scale_attention_softmax_in_fp32: [true], attention_softmax_in_fp32: [true] },
    },
    read: ["norm_epsilon", "use_bias"],
    unread: ["attention_bias", "layer_types", "max_window_layers", "mlp_bias", "rms_norm_eps"],
  },
  spell: spellOneRope(defaults),
  parse(read) {
    const bias = read.flag("use_bias", true);
    return decoderConfig(read, defaults, {
      ...{ norm: "layer", qkvBias: bias, outputBias: bias, mlpBias: bias },
      initializerRange: read.positive("initializer_range", 0.018042),
    });
  },
  params: (config) => [embeddingOf(starcoder2, config), ...layersOf(config, layerOf), ...norm("model.norm", config.hiddenSize, true)],
  block(pass, x, attention) {
    const name = layerName(attention.layer);
    twoParts(pass, x, attention, {
      first: `${name}.input_layernorm`,
      second: `${name}.post_attention_layernorm`,
      feedForward: (n) => plainFeedForward(pass, feedForwardNames(name), n),
    });
  },
};

const feedForwardNames = (name: string) => [`${name}.mlp.c_fc`, `${name}.mlp.c_proj`] as const;

const layerOf = (config: ModelConfig, name: string): ParamSpec[] => [
  ...norm(`${name}.input_layernorm`, config.hiddenSize, true),
  ...attentionParams(config, `${name}.self_attn`),
  ...norm(`${name}.post_attention_layernorm`, config.hiddenSize, true),
  ...plainParams(config, feedForwardNames(name)),
];
