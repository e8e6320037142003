import type { Value } from "../../graph/graph.js";
import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import type { Fields } from "../config/fields.js";
import type { Experts, ModelConfig } from "../config/model-config.js";
import { gatedFeedForward, twoParts } from "../forward/feed-forward.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { expertParams, expertsOf, stackedExperts } from "./experts.js";
import { llama } from "./llama.js";
import { attentionParams, embeddingOf, finalNorm, gatedParams, layerName, norm } from "./params.js";

const expertNames = { gate: "gate_proj", up: "up_proj", down: "down_proj" };

const defaults: DecoderDefaults = {
  maxPositions: 32768,
  kvHeads: 4,
  windows: { sizeByDefault: 4096, slides: () => true, switched: false },
};

/** Qwen3's models of experts: a Qwen3 in which a router gives each token to some of many feed-forward parts. */
export const qwen3Moe: Architecture = {
  ...llama,
  className: "Qwen3Moe",
  models: "Qwen 3 30B-A3B, 235B-A22B",
  keys: {
    agreeing: { qk_layernorm: [true], qk_norm: [true], use_qk_norm: [true] },
    denying: /^(use_)?qk_(layer)?norm$/,
    read: [
      ...["decoder_sparse_step", "mlp_only_layers", "moe_intermediate_size", "norm_topk_prob", "num_experts", "num_experts_per_tok"],
      "num_local_experts",
    ],
    unread: ["layer_types", "mlp_bias"],
  },
  // Nothing asks for a number of experts.
  fresh: false,
  aliases: { num_experts: "num_local_experts" },
  // transformers 4 reads num_experts, 5 writes num_local_experts.
  spell: (read) => ({ ...spellOneRope(defaults)(read), num_experts: read.count("num_experts", 128) }),
  pieces: stackedExperts(expertNames),
  parse(read) {
    const bias = read.flag("attention_bias");
    const config = decoderConfig(read, defaults, { qkvBias: bias, outputBias: bias, qkNorm: "head" });
    return { ...config, experts: expertsIn(read, config.layers) };
  },
  params: (config) => [
    embeddingOf(qwen3Moe, config),
    ...Array.from({ length: config.layers }, (_, layer) => layerOf(config, layer)).flat(),
    finalNorm("model.norm", config),
  ],
  block(pass, x, attention) {
    const name = layerName(attention.layer);
    const routed = pass.config.experts?.inLayer[attention.layer];
    const feedForward = (n: Value) => (routed ? expertsOf(pass, `${name}.mlp`, expertNames, n) : gatedFeedForward(pass, `${name}.mlp`, n));
    twoParts(pass, x, attention, { first: `${name}.input_layernorm`, second: `${name}.post_attention_layernorm`, feedForward });
  },
};

function layerOf(config: ModelConfig, layer: number): ParamSpec[] {
  const name = layerName(layer);
  return [
    ...norm(`${name}.input_layernorm`, config.hiddenSize),
    ...attentionParams(config, `${name}.self_attn`),
    ...norm(`${name}.post_attention_layernorm`, config.hiddenSize),
    ...(config.experts?.inLayer[layer] ? expertParams(config, `${name}.mlp`, expertNames) : gatedParams(config, `${name}.mlp`)),
  ];
}

/** Experts in every so many layers, but in none that is said to do without. */
function expertsIn(read: Fields, layers: number): Experts | undefined {
  const count = read.count("num_experts", 128);
  if (count === 0) return undefined;
  const perToken = read.size("num_experts_per_tok", 8);
  if (perToken > count) throw read.refused("num_experts_per_tok", `at most num_experts (${count})`, perToken);
  const step = read.size("decoder_sparse_step", 1);
  const plain = new Set(read.ids("mlp_only_layers"));
  return {
    ...{ count, perToken, hiddenSize: read.size("moe_intermediate_size", 768), normalised: read.flag("norm_topk_prob") },
    inLayer: Array.from({ length: layers }, (_, layer) => !plain.has(layer) && (layer + 1) % step === 0),
  };
}
