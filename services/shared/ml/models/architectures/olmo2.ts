import { decoderConfig } from "../config/decoder-config.js";
import type { ModelConfig } from "../config/model-config.js";
import { noWindows } from "../config/windows.js";
import { gatedFeedForward } from "../forward/feed-forward.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";
import { attentionParams, embeddingOf, finalNorm, gatedParams, layerName, layersOf, norm } from "./params.js";

/** OLMo 2: a Llama that norms what each part gives, not what it reads, and all queries and all keys together. */
export const olmo2: Architecture = {
  ...llama,
  className: "Olmo2",
  models: "OLMo 2",
  parse(read) {
    const bias = read.flag("attention_bias");
    const defaults = { maxPositions: 2048, windows: noWindows, normEps: ["rms_norm_eps", 1e-5], mlpBias: false } as const;
    return decoderConfig(read, defaults, { qkvBias: bias, outputBias: bias, qkNorm: "whole" });
  },
  params: (config) => [embeddingOf(olmo2, config), ...layersOf(config, olmo2Layer), finalNorm("model.norm", config)],
  /** x += norm(O·attention(x)); x += norm(down·(silu(gate·x) ∘ up·x)) */
  block(pass, x, attention) {
    const name = layerName(attention.layer);
    x.add(pass.norm(`${name}.post_attention_layernorm`, pass.attention(attention, x.read())));
    x.add(pass.norm(`${name}.post_feedforward_layernorm`, gatedFeedForward(pass, `${name}.mlp`, x.read())));
  },
};

function olmo2Layer(config: ModelConfig, name: string): ParamSpec[] {
  return [
    ...attentionParams(config, `${name}.self_attn`),
    ...norm(`${name}.post_attention_layernorm`, config.hiddenSize),
    ...gatedParams(config, `${name}.mlp`),
    ...norm(`${name}.post_feedforward_layernorm`, config.hiddenSize),
  ];
}
