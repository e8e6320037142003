import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import type { Fields } from "../config/fields.js";
import type { ModelConfig } from "../config/model-config.js";
import { readRope } from "../config/rope.js";
import { noWindows } from "../config/windows.js";
import { selfAttention } from "../forward/self-attention.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";
import { attentionParams, embeddingOf, finalNorm, gatedParams, layerName, layersOf, norm } from "./params.js";

const defaults: DecoderDefaults = { maxPositions: 2048, windows: noWindows, normEps: ["rms_norm_eps", 1e-5], mlpBias: false };

/** Hunyuan without experts: a Llama that norms each head of queries and keys when it is rotated. */
export const hunyuanV1Dense: Architecture = {
  ...llama,
  className: "HunYuanDenseV1",
  models: "Hunyuan 0.5B to 7B",
  keys: {
    agreeing: { norm_type: ["rms"], use_qk_norm: [true] },
    read: ["attention_head_dim", "cla_share_factor", "use_cla"],
    denying: /^use_qk_norm$/,
  },
  spell: spellOneRope(defaults),
  parse(read) {
    if (read.flag("use_cla")) throw read.refused("use_cla", "false");
    const bias = read.flag("attention_bias");
    const config = decoderConfig(read, defaults, { qkvBias: bias, outputBias: bias, qkNorm: "head" });
    if (read.size("attention_head_dim", config.headDim) !== config.headDim)
      throw read.refused("attention_head_dim", `the size of a head, ${config.headDim}`);
    return stretched(read, config);
  },
  params: (config) => [embeddingOf(hunyuanV1Dense, config), ...layersOf(config, hunyuanLayer), finalNorm("model.norm", config)],
  attention(config, layer) {
    const name = `${layerName(layer)}.self_attn`;
    const norms = { over: "head", q: `${name}.query_layernorm`, k: `${name}.key_layernorm`, afterRotation: true } as const;
    return selfAttention(config, layer, name, { norms });
  },
};

/** Dynamic scaling with an `alpha` stretches the base, whatever a text's length. */
function stretched(read: Fields, config: ModelConfig): ModelConfig {
  const { headDim } = config;
  const { spelled } = readRope(read, { maxPositions: config.maxPositions, headDim });
  if (spelled.rope_type !== "dynamic" || (spelled.alpha ?? undefined) === undefined) return config;
  const field = Object.keys(read.within("rope_scaling").raw).length > 0 ? "rope_scaling" : "rope_parameters";
  const stretch = read.within(field).positive("alpha") ** (headDim / (headDim - 2));
  return {
    ...config,
    layerKinds: config.layerKinds.map(({ rotary, window }) => ({ window, rotary: rotary && { ...rotary, theta: rotary.theta * stretch } })),
  };
}

function hunyuanLayer(config: ModelConfig, name: string): ParamSpec[] {
  return [
    ...norm(`${name}.input_layernorm`, config.hiddenSize),
    ...attentionParams({ ...config, qkNorm: undefined }, `${name}.self_attn`),
    ...norm(`${name}.self_attn.query_layernorm`, config.headDim),
    ...norm(`${name}.self_attn.key_layernorm`, config.headDim),
    ...norm(`${name}.post_attention_layernorm`, config.hiddenSize),
    ...gatedParams(config, `${name}.mlp`),
  ];
}
