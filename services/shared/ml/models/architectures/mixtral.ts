import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import type { ModelConfig } from "../config/model-config.js";
import { twoParts } from "../forward/feed-forward.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { expertParams, expertsOf, stackedExperts } from "./experts.js";
import { llama } from "./llama.js";
import { attentionParams, embeddingOf, finalNorm, layerName, layersOf, norm } from "./params.js";

const expertNames = { gate: "w1", up: "w3", down: "w2" };
const defaults: DecoderDefaults = {
  maxPositions: 4096 * 32,
  kvHeads: 8,
  windows: { slides: () => true },
  normEps: ["rms_norm_eps", 1e-5],
  ropeTheta: 1e6,
};

/** Mixtral (Jiang et al. 2024): a Mistral in which a router gives each token to two of eight feed-forward parts. */
export const mixtral: Architecture = {
  ...llama,
  className: "Mixtral",
  models: "Mixtral 8x7B, 8x22B",
  keys: {
    agreeing: {},
    read: ["num_experts", "num_experts_per_tok", "num_local_experts"],
    unread: ["attention_bias", "layer_types", "max_window_layers", "mlp_bias"],
  },
  // Nothing asks for a number of experts.
  fresh: false,
  aliases: { num_local_experts: "num_experts" },
  spell: spellOneRope(defaults),
  // transformers 5 says mlp.
  renamed: [[/^(model\.layers\.\d+)\.mlp\.(gate|experts)\./, "$1.block_sparse_moe.$2."]],
  pieces: stackedExperts(expertNames),
  parse(read) {
    const config = decoderConfig(read, defaults);
    const { layers, intermediateSize: hiddenSize } = config;
    const [count, perToken] = [read.size("num_local_experts", 8), read.size("num_experts_per_tok", 2)];
    if (perToken > count) throw read.refused("num_experts_per_tok", `at most num_local_experts (${count})`, perToken);
    return { ...config, experts: { count, perToken, hiddenSize, normalised: true, inLayer: new Array<boolean>(layers).fill(true) } };
  },
  params: (config) => [embeddingOf(mixtral, config), ...layersOf(config, layerOf), finalNorm("model.norm", config)],
  block(pass, x, attention) {
    const name = layerName(attention.layer);
    twoParts(pass, x, attention, {
      first: `${name}.input_layernorm`,
      second: `${name}.post_attention_layernorm`,
      feedForward: (n) => expertsOf(pass, `${name}.block_sparse_moe`, expertNames, n),
    });
  },
};

const layerOf = (config: ModelConfig, name: string): ParamSpec[] => [
  ...norm(`${name}.input_layernorm`, config.hiddenSize),
  ...attentionParams(config, `${name}.self_attn`),
  ...norm(`${name}.post_attention_layernorm`, config.hiddenSize),
  ...expertParams(config, `${name}.block_sparse_moe`, expertNames),
];
