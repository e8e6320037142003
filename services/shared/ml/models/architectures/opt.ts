import type { Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { int64 } from "../../graph/tensor.js";
import { decoderConfig } from "../config/decoder-config.js";
import type { Fields } from "../config/fields.js";
import type { ModelConfig } from "../config/model-config.js";
import { noWindows } from "../config/windows.js";
import { plainFeedForward, twoParts } from "../forward/feed-forward.js";
import { selfAttention } from "../forward/self-attention.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { agreeingWithLearnedPositions, learnedPositions, unreadWithLearnedPositions } from "./gpt2.js";
import { llama } from "./llama.js";
import { embeddingOf, layersOf, linear, norm, plainParams } from "./params.js";

const layerName = (layer: number): string => `model.decoder.layers.${layer}`;
const positionTable = "model.decoder.embed_positions.weight";
const finalNorm = "model.decoder.final_layer_norm";

/** The table's rows before that of the first position: an inheritance of padding. */
const offset = 2;

/** OPT (Zhang et al. 2022), in all sizes but that of 350 million parameters: learned positions, layer norms, biases and ReLU. */
export const opt: Architecture = {
  ...llama,
  className: "OPT",
  models: "OPT 125M, 1.3B to 66B",
  keys: {
    agreeing: agreeingWithLearnedPositions,
    read: [
      ...["_remove_final_layer_norm", "activation_function", "do_layer_norm_before", "enable_bias", "ffn_dim", "init_std"],
      ...["layer_norm_elementwise_affine", "word_embed_proj_dim"],
    ],
    unread: unreadWithLearnedPositions,
  },
  fresh: ({ intermediate_size, initializer_range, ...others }) => ({ ...others, ffn_dim: intermediate_size, init_std: initializer_range }),
  spell: undefined,
  embedding: "model.decoder.embed_tokens.weight",
  parse(read) {
    refuseOtherSizes(read);
    const bias = read.flag("enable_bias", true);
    const config = decoderConfig(
      read,
      {
        ...{ maxPositions: 2048, headDim: "even", kvHeads: "heads", windows: noWindows, tied: true },
        ...{ activation: ["activation_function", "relu"], activations: ["gelu", "geluTanh", "relu", "silu"] },
      },
      {
        ...{ norm: "layer", normEps: 1e-5, qkvBias: bias, outputBias: bias, mlpBias: bias, layerKinds: [] },
        ...{ intermediateSize: read.size("ffn_dim", 3072), initializerRange: read.positive("init_std", 0.02) },
      },
    );
    return { ...learnedPositions(config, read), learnedPositions: config.maxPositions + offset };
  },
  params: (config) => [
    embeddingOf(opt, config),
    { name: positionTable, dims: [config.learnedPositions ?? 0, config.hiddenSize], kind: "matrix" },
    ...norm(finalNorm, config.hiddenSize, true),
    ...layersOf(config, layerOf, layerName),
  ],
  embed(pass, ids_BT) {
    const places: Value = op.add(pass.positions(), ids_BT.graph.constant(int64([offset], [])));
    return op.add(pass.embed(opt.embedding, ids_BT), pass.embed(positionTable, places));
  },
  attention(config, layer) {
    const name = `${layerName(layer)}.self_attn`;
    return selfAttention(config, layer, name, { output: `${name}.out_proj` });
  },
  block(pass, x, attention) {
    const name = layerName(attention.layer);
    twoParts(pass, x, attention, {
      first: `${name}.self_attn_layer_norm`,
      second: `${name}.final_layer_norm`,
      feedForward: (n) => plainFeedForward(pass, feedForwardNames(name), n),
    });
  },
  finish: (x) => x.norm(finalNorm),
};

const feedForwardNames = (name: string) => [`${name}.fc1`, `${name}.fc2`] as const;

function layerOf(config: ModelConfig, name: string): ParamSpec[] {
  const { hiddenSize: d, qkvBias, outputBias } = config;
  return [
    ...norm(`${name}.self_attn_layer_norm`, d, true),
    ...["k_proj", "v_proj", "q_proj"].flatMap((part) => linear(`${name}.self_attn.${part}`, d, d, qkvBias)),
    ...linear(`${name}.self_attn.out_proj`, d, d, outputBias),
    ...norm(`${name}.final_layer_norm`, d, true),
    ...plainParams(config, feedForwardNames(name)),
  ];
}

/** The model of 350 million parameters norms what each part gives, and embeds in fewer channels; some were tuned without the last norm. */
function refuseOtherSizes(read: Fields): void {
  const width = read.size("hidden_size");
  if (!read.flag("do_layer_norm_before", true)) throw read.refused("do_layer_norm_before", "true: take another size of OPT");
  if (read.size("word_embed_proj_dim", width) !== width)
    throw read.refused("word_embed_proj_dim", `hidden_size (${width}): take another size of OPT`);
  if (!read.flag("layer_norm_elementwise_affine", true)) throw read.refused("layer_norm_elementwise_affine", "true");
  if (read.flag("_remove_final_layer_norm")) throw read.refused("_remove_final_layer_norm", "false");
}
