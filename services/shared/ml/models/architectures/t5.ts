import type { Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import type { ModelConfig } from "../config/model-config.js";
import { freshT5, spellT5, spellT5Head, t5Aliases, t5Config } from "../config/t5-config.js";
import type { CrossAttention } from "../forward/cross-attention.js";
import { activated, scaled } from "../forward/feed-forward.js";
import type { Pass } from "../forward/pass.js";
import type { RelativeBias } from "../forward/relative-bias.js";
import { type SelfAttention, selfAttention } from "../forward/self-attention.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { encoderDecoderOf } from "./encoder.js";
import { embeddingOf, finalNorm, linear, norm } from "./params.js";
import { encoderDecoderInputs } from "./sequence-inputs.js";

type Part = "encoder" | "decoder";

/** Name of a layer's n-th part: attention, in the decoder attention over the prompt, feed-forward. */
const partName = (part: Part, layer: number, n: number) => `${part}.block.${layer}.layer.${n}`;

const selfName = (part: Part, layer: number) => `${partName(part, layer, 0)}.SelfAttention`;

const feedForwardName = (part: Part, layer: number) => `${partName(part, layer, part === "encoder" ? 1 : 2)}.DenseReluDense`;

/** Name of the biases that all layers of a part share. */
const biasName = (part: Part) => `${selfName(part, 0)}.relative_attention_bias.weight`;

const biasOf = (part: Part, config: ModelConfig): RelativeBias => {
  const { buckets, maxDistance } = encoderDecoderOf(config);
  return { name: biasName(part), count: buckets, maxDistance, bidirectional: part === "encoder" };
};

/** Nothing in T5 ends with a position: `n_positions` is the length that it was trained with. This bounds what one text may take. */
const maxPositions = 32_768;

/**
 * T5 (Raffel et al. 2020) in its first form, version 1.1 and FLAN-T5: an encoder reads the prompt, and a decoder that attends
 * to it writes the completion. Positions are biases on attention scores, by head and distance.
 */
export const t5: Architecture = {
  className: "T5",
  models: "T5, T5 1.1, FLAN-T5",
  headClass: "ForConditionalGeneration",
  keys: {
    agreeing: {},
    read: [
      ...Object.values(t5Aliases),
      ..."decoder_start_token_id feed_forward_proj layer_norm_epsilon num_decoder_layers".split(" "),
      ..."relative_attention_max_distance relative_attention_num_buckets scale_decoder_outputs".split(" "),
      ..."dense_act_fn is_gated_act output_past".split(" "),
    ],
    unread: [
      ..."attention_bias hidden_act layer_types max_window_layers mlp_bias original_max_position_embeddings".split(" "),
      ..."partial_rotary_factor rms_norm_eps rope_parameters rope_scaling rope_theta sliding_window use_sliding_window".split(" "),
    ],
  },
  aliases: t5Aliases,
  fresh: freshT5,
  prefix: "",
  // Older files hold biases that the attention over the prompt does without.
  buffers: /^decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight$/,
  ofAllLayers: /\.relative_attention_bias\.weight$/,
  copies: { "encoder.embed_tokens.weight": "shared.weight", "decoder.embed_tokens.weight": "shared.weight" },
  embedding: "shared.weight",
  head: "lm_head.weight",
  headByFile: true,
  parse: (read) => t5Config(read, maxPositions),
  spell: (read) => spellT5(t5Config(read, maxPositions)),
  spellHead: spellT5Head,
  params(config) {
    const { encoderLayers, buckets } = encoderDecoderOf(config);
    const bias = (part: Part): ParamSpec => ({ name: biasName(part), dims: [buckets, config.heads], kind: "bias" });
    return [
      embeddingOf(t5, config),
      bias("encoder"),
      ...Array.from({ length: encoderLayers }, (_, layer) => layerParams(config, "encoder", layer)).flat(),
      finalNorm("encoder.final_layer_norm", config),
      bias("decoder"),
      ...Array.from({ length: config.layers }, (_, layer) => layerParams(config, "decoder", layer)).flat(),
      finalNorm("decoder.final_layer_norm", config),
    ];
  },
  initial: initialOf,
  inputs: (config) => encoderDecoderInputs(encoderDecoderOf(config).startId),
  embed: (pass, ids_BT) => pass.embed(t5.embedding, ids_BT),
  attention: (config, layer) => attentionOf(config, "decoder", layer),
  /** x += O·attention(norm(x)); x += O·attention(norm(x), prompt); x += feedForward(norm(x)) */
  block(pass, x, attention) {
    const { layer } = attention;
    x.add(pass.attention(attention, x.norm(`${partName("decoder", layer, 0)}.layer_norm`)));
    x.add(pass.crossAttention(crossOf(layer), x.norm(`${partName("decoder", layer, 1)}.layer_norm`)));
    x.add(feedForward(pass, feedForwardName("decoder", layer), x.norm(`${partName("decoder", layer, 2)}.layer_norm`)));
  },
  finish: (x, { logitScale }) => scaled(x.norm("decoder.final_layer_norm"), logitScale),
  encoder: {
    maxPositions,
    attention: (config, layer) => attentionOf(config, "encoder", layer),
    block(pass, x, attention) {
      const { layer } = attention;
      x.add(pass.attention(attention, x.norm(`${partName("encoder", layer, 0)}.layer_norm`)));
      x.add(feedForward(pass, feedForwardName("encoder", layer), x.norm(`${partName("encoder", layer, 1)}.layer_norm`)));
    },
    finish: (x) => x.norm("encoder.final_layer_norm"),
    bias: (config) => biasOf("encoder", config),
    decoderBias: (config) => biasOf("decoder", config),
    cross: crossOf,
  },
};

function attentionOf(config: ModelConfig, part: Part, layer: number): SelfAttention {
  const name = selfName(part, layer);
  return selfAttention(config, layer, name, {
    projection: { kind: "apart", q: `${name}.q`, k: `${name}.k`, v: `${name}.v` },
    output: `${name}.o`,
  });
}

function crossOf(layer: number): CrossAttention {
  const name = `${partName("decoder", layer, 1)}.EncDecAttention`;
  return { layer, q: `${name}.q`, k: `${name}.k`, v: `${name}.v`, output: `${name}.o`, scale: 1 };
}

/** wo·act(wi·x), or wo·(act(wi_0·x) ∘ wi_1·x) */
function feedForward(pass: Pass, name: string, x: Value): Value {
  const { config } = pass;
  if (!encoderDecoderOf(config).gated) return pass.linear(`${name}.wo`, activated(config, pass.linear(`${name}.wi`, x)));
  const gate = activated(config, pass.linear(`${name}.wi_0`, x));
  return pass.linear(`${name}.wo`, op.mul(gate, pass.linear(`${name}.wi_1`, x)));
}

function layerParams(config: ModelConfig, part: Part, layer: number): ParamSpec[] {
  const { hiddenSize: d, intermediateSize: f, heads, headDim } = config;
  const named = (n: number) => norm(`${partName(part, layer, n)}.layer_norm`, d);
  const attention = (name: string) => [
    ...["q", "k", "v"].flatMap((one) => linear(`${name}.${one}`, heads * headDim, d, false)),
    ...linear(`${name}.o`, d, heads * headDim, false),
  ];
  const dense = feedForwardName(part, layer);
  const inner = encoderDecoderOf(config).gated ? ["wi_0", "wi_1"] : ["wi"];
  return [
    ...attention(selfName(part, layer)),
    ...named(0),
    ...(part === "decoder" ? [...attention(`${partName(part, layer, 1)}.EncDecAttention`), ...named(1)] : []),
    ...inner.flatMap((one) => linear(`${dense}.${one}`, f, d, false)),
    ...linear(`${dense}.wo`, d, f, false),
    ...named(part === "decoder" ? 2 : 1),
  ];
}

/**
 * As transformers draws a T5, times `initializer_factor`: norms 1, the embedding from N(0, 1), a linear from N(0, 1/inputs),
 * queries from N(0, 1/(inputs · head size)) in place of a scale of their scores. A head of its own begins like a linear, where
 * transformers draws it from N(0, 1): nothing scales the hidden states on their way to it, so that would make logits √d_model wide,
 * and the first completions those of a model that is sure of everything.
 */
function initialOf({ name, dims, kind }: ParamSpec, config: ModelConfig): number | { readonly normal: number } {
  if (kind === "norm") return config.initializerRange;
  if (name === t5.embedding) return { normal: 1 };
  if (kind === "bias") return { normal: config.hiddenSize ** -0.5 };
  const inputs = dims[1] ?? 1;
  return { normal: (name.endsWith(".q.weight") ? inputs * config.headDim : inputs) ** -0.5 };
}
