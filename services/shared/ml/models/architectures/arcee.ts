import type { Value } from "../../graph/graph.js";
import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import type { ModelConfig } from "../config/model-config.js";
import { noWindows } from "../config/windows.js";
import { plainFeedForward, twoParts } from "../forward/feed-forward.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";
import { attentionParams, embeddingOf, finalNorm, layerName, layersOf, norm, plainParams } from "./params.js";

const defaults: DecoderDefaults = {
  maxPositions: 4096,
  windows: noWindows,
  normEps: ["rms_norm_eps", 1e-5],
  activation: ["hidden_act", "relu2"],
  activations: ["relu2", "relu", "silu"],
};

/** Arcee: a Llama whose feed-forward part has no gate, and squares what its ReLU leaves. */
export const arcee: Architecture = {
  ...llama,
  className: "Arcee",
  models: "AFM 4.5B",
  spell: spellOneRope(defaults),
  parse(read) {
    const bias = read.flag("attention_bias");
    return decoderConfig(read, defaults, { qkvBias: bias, outputBias: bias, mlpBias: read.flag("mlp_bias") });
  },
  params: (config) => [embeddingOf(arcee, config), ...layersOf(config, arceeLayer), finalNorm("model.norm", config)],
  /** x += O·attention(norm(x)); x += down·relu(up·norm(x))² */
  block(pass, x, attention) {
    const name = layerName(attention.layer);
    const feedForward = (normed: Value) => plainFeedForward(pass, feedForwardNames(name), normed);
    twoParts(pass, x, attention, { first: `${name}.input_layernorm`, second: `${name}.post_attention_layernorm`, feedForward });
  },
};

const feedForwardNames = (name: string) => [`${name}.mlp.up_proj`, `${name}.mlp.down_proj`] as const;

const arceeLayer = (config: ModelConfig, name: string): ParamSpec[] => [
  ...norm(`${name}.input_layernorm`, config.hiddenSize),
  ...attentionParams(config, `${name}.self_attn`),
  ...norm(`${name}.post_attention_layernorm`, config.hiddenSize),
  ...plainParams(config, feedForwardNames(name)),
];
