import * as op from "../../graph/ops/index.js";
import { type DecoderDefaults, decoderConfig, layerKinds } from "../config/decoder-config.js";
import type { Fields } from "../config/fields.js";
import { layerNormed } from "../config/keys.js";
import type { ModelConfig } from "../config/model-config.js";
import { noWindows } from "../config/windows.js";
import { plainFeedForward, twoParts } from "../forward/feed-forward.js";
import { type Projection, selfAttention } from "../forward/self-attention.js";
import type { LinearLayout, ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { embeddingOf, layersOf, linear, norm, plainParams } from "./params.js";
import { decoderInputs } from "./sequence-inputs.js";

const layerName = (layer: number): string => `transformer.h.${layer}`;
const positionTable = "transformer.wpe";
const finalNorm = "transformer.ln_f";

/** Keys of other decoders that say nothing to a family with learned positions; windows and rotations among them. */
export const unreadWithLearnedPositions = [
  ...["attention_bias", "hidden_act", "intermediate_size", "layer_types", "max_window_layers", "mlp_bias", "partial_rotary_factor"],
  ...["rms_norm_eps", "rope_parameters", "rope_scaling", "rope_theta", "sliding_window", "use_sliding_window"],
];

/** What keys of other decoders say of a family with learned positions and layer norms, where they say what it does. */
export const agreeingWithLearnedPositions = {
  ...layerNormed,
  ...{ apply_rotary_pos_emb: [], position_embedding_type: ["absolute", "learned"], rotary_pct: [], use_rope: [] },
};

/** Config and weights as OpenAI named them, with linears that lie as `layout` says. */
export function gpt2Form(layout: LinearLayout, projection: (config: ModelConfig, name: string) => Projection) {
  return {
    aliases: { hidden_size: "n_embd", max_position_embeddings: "n_positions", num_attention_heads: "n_head", num_hidden_layers: "n_layer" },
    prefix: "transformer.",
    // Masks of old checkpoints, and what they hide with.
    buffers: /(^|\.)attn\.(bias|masked_bias)$|^(transformer\.)?bias$/,
    embedding: "transformer.wte.weight",
    head: "lm_head.weight",
    params: (config) => [
      embeddingOf(gpt2, config),
      { name: `${positionTable}.weight`, dims: [config.learnedPositions ?? 0, config.hiddenSize], kind: "matrix" },
      ...layersOf(config, (_, name) => layerOf(config, name, layout), layerName),
      ...norm(finalNorm, config.hiddenSize, true),
    ],
    /** Projections that add to the stream begin smaller, the more of them there are. */
    initial({ name, kind }, { layers }) {
      if (/\.c_proj\.weight$/.test(name)) return { normal: 1 / Math.sqrt(2 * layers) };
      return ({ bias: 0, head: "normal", matrix: "normal", norm: 1 } as const)[kind];
    },
    inputs: decoderInputs,
    embed: (pass, ids_BT) => op.add(pass.embed(gpt2.embedding, ids_BT), pass.embed(`${positionTable}.weight`, pass.positions())),
    attention(config, layer) {
      const name = `${layerName(layer)}.attn`;
      const own = { projection: projection(config, `${name}.c_attn`), output: `${name}.c_proj`, outputLayout: layout };
      return selfAttention(config, layer, name, own);
    },
    block(pass, x, attention) {
      const name = layerName(attention.layer);
      twoParts(pass, x, attention, {
        first: `${name}.ln_1`,
        second: `${name}.ln_2`,
        feedForward: (n) => plainFeedForward(pass, feedForwardNames(name), n, layout),
      });
    },
    finish: (x) => x.norm(finalNorm),
  } as const satisfies Partial<Architecture>;
}

/** GPT-2 and DistilGPT-2 (Radford et al. 2019): learned positions, layer norms and biases, and linears that lie as [in, out]. */
export const gpt2: Architecture = {
  ...gpt2Form("inOut", (_, name) => ({ kind: "stacked", name, layout: "inOut" })),
  className: "GPT2",
  models: "GPT-2, DistilGPT-2",
  keys: {
    agreeing: { ...agreeingWithLearnedPositions, attention_bias: [true], mlp_bias: [true], reorder_and_upcast_attn: [true] },
    denying: /^(attention|mlp)_bias$/,
    read: [
      ...["activation_function", "layer_norm_epsilon", "n_embd", "n_head", "n_inner", "n_layer", "n_positions"],
      ...["scale_attn_by_inverse_layer_idx", "scale_attn_weights"],
    ],
    unread: unreadWithLearnedPositions,
  },
  headClass: "LMHeadModel",
  fresh: ({ intermediate_size, ...others }) => ({ ...others, n_inner: intermediate_size }),
  parse: (read) => learnedPositions(gpt2Config(read, "gelu_new", "heads"), read),
};

const feedForwardNames = (name: string) => [`${name}.mlp.c_fc`, `${name}.mlp.c_proj`] as const;

function layerOf({ hiddenSize: d, heads, kvHeads, headDim, ...config }: ModelConfig, name: string, layout: LinearLayout): ParamSpec[] {
  return [
    ...norm(`${name}.ln_1`, d, true),
    ...linear(`${name}.attn.c_attn`, (heads + 2 * kvHeads) * headDim, d, true, layout),
    ...linear(`${name}.attn.c_proj`, d, d, true, layout),
    ...norm(`${name}.ln_2`, d, true),
    ...plainParams({ ...config, hiddenSize: d }, feedForwardNames(name), layout),
  ];
}

/** What a config.json in OpenAI's words says of a model, but for its positions. */
export function gpt2Config(read: Fields, activation: string, kvHeads: number | "heads"): ModelConfig {
  const width = read.size("hidden_size");
  const defaults: DecoderDefaults = {
    ...{ maxPositions: 1024, headDim: "even", kvHeads, windows: noWindows, tied: true, normEps: ["layer_norm_epsilon", 1e-5] },
    ...{ activation: ["activation_function", activation], activations: ["gelu", "geluTanh", "relu", "silu"] },
  };
  const intermediateSize = read.get("n_inner") === undefined ? 4 * width : read.size("n_inner");
  const biases = { qkvBias: true, outputBias: true, mlpBias: true };
  return decoderConfig(read, defaults, { norm: "layer", layerKinds: [], intermediateSize, ...biases });
}

/** Nothing is rotated; scores are scaled by the head's size, if at all, and by the layer's number where the config says so. */
export function learnedPositions(config: ModelConfig, read: Fields): ModelConfig {
  const base = read.flag("scale_attn_weights", true) ? config.attentionScale : 1;
  const byLayer = read.flag("scale_attn_by_inverse_layer_idx");
  const kinds = layerKinds(new Array(config.layers).fill(undefined), undefined);
  return {
    ...config,
    attentionScale: base,
    learnedPositions: config.maxPositions,
    layerKinds: byLayer ? kinds.map((kind, layer) => ({ ...kind, attentionScale: base / (layer + 1) })) : kinds,
  };
}
