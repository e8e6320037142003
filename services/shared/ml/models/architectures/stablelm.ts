import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import { layerNormed } from "../config/keys.js";
import type { ModelConfig } from "../config/model-config.js";
import { noWindows } from "../config/windows.js";
import { gatedFeedForward, twoParts } from "../forward/feed-forward.js";
import { selfAttention } from "../forward/self-attention.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";
import { embeddingOf, gatedParams, layerName, layersOf, linear, norm } from "./params.js";

const defaults: DecoderDefaults = {
  maxPositions: 4096,
  headDim: "even",
  kvHeads: 32,
  windows: noWindows,
  rotaryShare: 0.25,
  normEps: ["layer_norm_eps", 1e-5],
  activations: ["gelu", "geluTanh", "relu", "silu"],
};

/** StableLM (Stability AI 2023): a Llama with layer norms, a part of each head rotated, and, in its larger sizes, a norm for each head. */
export const stablelm: Architecture = {
  ...llama,
  className: "StableLm",
  models: "StableLM, StableLM 2",
  keys: {
    agreeing: layerNormed,
    read: ["layer_norm_eps", "qk_layernorm", "use_parallel_residual", "use_qkv_bias"],
    unread: ["attention_bias", "layer_types", "mlp_bias", "rms_norm_eps"],
  },
  spell: spellOneRope(defaults),
  parse(read) {
    const qkNorm = read.flag("qk_layernorm") ? "eachHead" : undefined;
    return decoderConfig(read, defaults, {
      norm: "layer",
      qkvBias: read.flag("use_qkv_bias"),
      qkNorm,
      parallel: read.flag("use_parallel_residual"),
    });
  },
  params: (config) => [embeddingOf(stablelm, config), ...layersOf(config, layerOf), ...norm("model.norm", config.hiddenSize, true)],
  attention(config, layer) {
    const name = `${layerName(layer)}.self_attn`;
    const norms = config.qkNorm && { over: config.qkNorm, q: `${name}.q_layernorm.norms`, k: `${name}.k_layernorm.norms` };
    return selfAttention(config, layer, name, { norms });
  },
  block(pass, x, attention) {
    const name = layerName(attention.layer);
    const first = `${name}.input_layernorm`;
    twoParts(pass, x, attention, {
      first,
      second: pass.config.parallel ? first : `${name}.post_attention_layernorm`,
      feedForward: (n) => gatedFeedForward(pass, `${name}.mlp`, n),
    });
  },
};

function layerOf(config: ModelConfig, name: string): ParamSpec[] {
  const { hiddenSize: d, heads, kvHeads, headDim, qkvBias, qkNorm, parallel } = config;
  const norms = (part: string, count: number) =>
    Array.from({ length: qkNorm ? count : 0 }, (_, head) => norm(`${name}.self_attn.${part}_layernorm.norms.${head}`, headDim)).flat();
  return [
    ...norm(`${name}.input_layernorm`, d, true),
    ...linear(`${name}.self_attn.q_proj`, heads * headDim, d, qkvBias),
    ...linear(`${name}.self_attn.k_proj`, kvHeads * headDim, d, qkvBias),
    ...linear(`${name}.self_attn.v_proj`, kvHeads * headDim, d, qkvBias),
    ...norms("q", heads),
    ...norms("k", kvHeads),
    ...linear(`${name}.self_attn.o_proj`, d, heads * headDim, false),
    ...(parallel ? [] : norm(`${name}.post_attention_layernorm`, d, true)),
    ...gatedParams(config, `${name}.mlp`),
  ];
}
