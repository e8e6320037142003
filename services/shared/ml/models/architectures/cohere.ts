import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import type { Fields } from "../config/fields.js";
import { layerNormed } from "../config/keys.js";
import type { ModelConfig } from "../config/model-config.js";
import { noWindows } from "../config/windows.js";
import { gatedFeedForward, twoParts } from "../forward/feed-forward.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";
import { attentionParams, embeddingOf, finalNorm, gatedParams, layerName, layersOf, norm } from "./params.js";

/** What the classes of both generations take for keys that a config leaves out. */
export const cohereDefaults = {
  maxPositions: 8192,
  normEps: ["layer_norm_eps", 1e-5],
  tied: true,
  rotaryInterleaved: true,
  mlpBias: false,
} as const;

const defaults: DecoderDefaults = { ...cohereDefaults, ropeTheta: 500000, windows: noWindows };

/** Command-R (2024): attention and feed-forward part side by side, LayerNorm without biases, neighbouring channels rotated, scaled logits. */
export const cohere: Architecture = {
  ...llama,
  className: "Cohere",
  models: "Command-R, Aya 23",
  keys: { agreeing: layerNormed, read: ["layer_norm_eps", "logit_scale", "use_qk_norm"], unread: ["rms_norm_eps"] },
  parse: (read) => decoderConfig(read, defaults, { ...cohereTraits(read), qkNorm: read.flag("use_qk_norm") ? "eachHead" : undefined }),
  spell: spellOneRope(defaults),
  params: (config) => [embeddingOf(cohere, config), ...layersOf(config, cohereLayer), finalNorm("model.norm", config)],
  /** x += O·attention(n) + down·(silu(gate·n) ∘ up·n) with n = norm(x) */
  block(pass, x, attention) {
    const name = layerName(attention.layer);
    const first = `${name}.input_layernorm`;
    twoParts(pass, x, attention, { first, second: first, feedForward: (normed) => gatedFeedForward(pass, `${name}.mlp`, normed) });
  },
};

/** What every generation of Command has. */
export function cohereTraits(read: Fields): Partial<ModelConfig> {
  const bias = read.flag("attention_bias");
  const logitScale = read.positive("logit_scale", read.has("logit_scale") ? undefined : 0.0625);
  return { norm: "layer", parallel: true, qkvBias: bias, outputBias: bias, logitScale };
}

function cohereLayer(config: ModelConfig, name: string): ParamSpec[] {
  return [
    ...norm(`${name}.input_layernorm`, config.hiddenSize),
    ...attentionParams(config, `${name}.self_attn`),
    ...gatedParams(config, `${name}.mlp`),
  ];
}
