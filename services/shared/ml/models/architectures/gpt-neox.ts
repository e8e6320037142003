import type { Value } from "../../graph/graph.js";
import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import type { Fields, Json } from "../config/fields.js";
import { layerNormed } from "../config/keys.js";
import type { ModelConfig } from "../config/model-config.js";
import { noWindows } from "../config/windows.js";
import { plainFeedForward, twoParts } from "../forward/feed-forward.js";
import { selfAttention } from "../forward/self-attention.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";
import { embeddingOf, layersOf, linear, norm, plainParams } from "./params.js";

const layerName = (layer: number): string => `gpt_neox.layers.${layer}`;
const finalNorm = "gpt_neox.final_layer_norm";
const share = 0.25;

const defaults: DecoderDefaults = {
  maxPositions: 2048,
  headDim: "even",
  kvHeads: "heads",
  windows: noWindows,
  rotaryShare: share,
  normEps: ["layer_norm_eps", 1e-5],
  activation: ["hidden_act", "gelu"],
  activations: ["gelu", "geluTanh", "relu", "silu"],
};

/**
 * GPT-NeoX and Pythia (Black et al. 2022, Biderman et al. 2023): layer norms and biases, a part of each head rotated, queries,
 * keys and values head by head in one linear, and, as most of them were trained, attention and feed-forward part side by side.
 */
export const gptNeox: Architecture = {
  ...llama,
  className: "GPTNeoX",
  models: "Pythia, GPT-NeoX",
  keys: {
    agreeing: { ...layerNormed, mlp_bias: [true] },
    denying: /^mlp_bias$/,
    read: ["layer_norm_eps", "rotary_emb_base", "rotary_pct", "use_parallel_residual"],
    unread: ["layer_types", "mlp_bias", "rms_norm_eps"],
  },
  aliases: { partial_rotary_factor: "rotary_pct", rope_theta: "rotary_emb_base" },
  prefix: "gpt_neox.",
  buffers: /\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/,
  embedding: "gpt_neox.embed_in.weight",
  head: "embed_out.weight",
  renamed: [[/^lm_head\./, "embed_out."]],
  parse(read) {
    refuseOtherNames(read);
    const bias = read.flag("attention_bias", true);
    const parallel = read.flag("use_parallel_residual", true);
    return decoderConfig(read, defaults, { norm: "layer", qkvBias: bias, outputBias: bias, mlpBias: true, parallel });
  },
  spell(read) {
    const spelled = spellOneRope(defaults)(read);
    const { partial_rotary_factor = 1 } = spelled.rope_parameters as Json;
    return { ...spelled, partial_rotary_factor, rotary_emb_base: spelled.rope_theta, rotary_pct: partial_rotary_factor };
  },
  params: (config) => [embeddingOf(gptNeox, config), ...layersOf(config, layerOf, layerName), ...norm(finalNorm, config.hiddenSize, true)],
  embed: (pass, ids_BT) => pass.embed(gptNeox.embedding, ids_BT),
  attention(config, layer) {
    const name = `${layerName(layer)}.attention`;
    const projection = { kind: "byHead", name: `${name}.query_key_value` } as const;
    return selfAttention(config, layer, name, { projection, output: `${name}.dense` });
  },
  block(pass, x, attention) {
    const name = layerName(attention.layer);
    const feedForward = (n: Value) => plainFeedForward(pass, feedForwardNames(name), n);
    twoParts(pass, x, attention, { first: `${name}.input_layernorm`, second: `${name}.post_attention_layernorm`, feedForward });
  },
  finish: (x) => x.norm(finalNorm),
};

const feedForwardNames = (name: string) => [`${name}.mlp.dense_h_to_4h`, `${name}.mlp.dense_4h_to_h`] as const;

function layerOf(config: ModelConfig, name: string): ParamSpec[] {
  const { hiddenSize: d, qkvBias, outputBias } = config;
  return [
    ...norm(`${name}.input_layernorm`, d, true),
    ...linear(`${name}.attention.query_key_value`, 3 * d, d, qkvBias),
    ...linear(`${name}.attention.dense`, d, d, outputBias),
    ...norm(`${name}.post_attention_layernorm`, d, true),
    ...plainParams(config, feedForwardNames(name)),
  ];
}

/** Outside of rope_parameters the family's class reads its own names alone. */
function refuseOtherNames(read: Fields): void {
  for (const [key, own, usual] of [
    ["rope_theta", "rotary_emb_base", 10000],
    ["partial_rotary_factor", "rotary_pct", share],
  ] as const)
    if (key in read.raw && !(own in read.raw) && read.raw[key] !== usual && !readsInside(read, key))
      throw read.refused(key, `none: a model of type gpt_neox reads ${own}, so say that`);
}

const readsInside = (read: Fields, key: string): boolean =>
  ["rope_scaling", "rope_parameters"].some((field) => key in read.within(field).raw);
