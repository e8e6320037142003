import type { Value } from "../../graph/graph.js";
import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import type { ModelConfig } from "../config/model-config.js";
import { noWindows } from "../config/windows.js";
import { gatedFeedForward, scaled, twoParts } from "../forward/feed-forward.js";
import { selfAttention } from "../forward/self-attention.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { attentionParams, embeddingOf, finalNorm, gatedParams, layerName, layersOf, norm } from "./params.js";
import { decoderInputs } from "./sequence-inputs.js";

const defaults: DecoderDefaults = { maxPositions: 2048, windows: noWindows };

/** Llama (Touvron et al. 2023), and what is built like it: pre-norm blocks of attention and a gated feed-forward part. */
export const llama: Architecture = {
  className: "Llama",
  models: "Llama 1 to 3.3, SmolLM 1 and 2, TinyLlama, Yi, Falcon 3, DeepSeek 7B",
  keys: { agreeing: {} },
  prefix: "model.",
  buffers: /\.rotary_emb\.inv_freq$/,
  embedding: "model.embed_tokens.weight",
  head: "lm_head.weight",
  parse(read) {
    const bias = read.flag("attention_bias");
    const own = { qkvBias: bias, outputBias: bias, mlpBias: read.flag("mlp_bias") };
    return decoderConfig(read, defaults, own);
  },
  spell: spellOneRope(defaults),
  params: (config) => [embeddingOf(llama, config), ...layersOf(config, llamaLayer), finalNorm("model.norm", config)],
  initial: ({ kind }) => ({ bias: 0, head: "normal" as const, matrix: "normal" as const, norm: 1 })[kind],
  inputs: decoderInputs,
  embed: (pass, ids_BT) => scaled(pass.embed(llama.embedding, ids_BT), pass.config.embeddingScale),
  attention: (config, layer) => selfAttention(config, layer, `${layerName(layer)}.self_attn`),
  /** x += O·attention(norm(x)); x += down·(silu(gate·n) ∘ up·n) with n = norm(x) */
  block(pass, x, attention) {
    const name = layerName(attention.layer);
    const feedForward = (normed: Value) => gatedFeedForward(pass, `${name}.mlp`, normed);
    twoParts(pass, x, attention, { first: `${name}.input_layernorm`, second: `${name}.post_attention_layernorm`, feedForward });
  },
  finish: (x, { logitScale }) => scaled(x.norm("model.norm"), logitScale),
};

function llamaLayer(config: ModelConfig, name: string): ParamSpec[] {
  return [
    ...norm(`${name}.input_layernorm`, config.hiddenSize),
    ...attentionParams(config, `${name}.self_attn`),
    ...norm(`${name}.post_attention_layernorm`, config.hiddenSize),
    ...gatedParams(config, `${name}.mlp`),
  ];
}
