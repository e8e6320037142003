import type { Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { decoderConfig } from "../config/decoder-config.js";
import type { Fields, Json } from "../config/fields.js";
import type { ModelConfig } from "../config/model-config.js";
import { readRope } from "../config/rope.js";
import { activated, twoParts } from "../forward/feed-forward.js";
import type { Pass } from "../forward/pass.js";
import { selfAttention } from "../forward/self-attention.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";
import { embeddingOf, finalNorm, layerName, layersOf, linear, norm } from "./params.js";

const maxPositions = 4096;

/** Phi-3, Phi-3.5 and Phi-4 (2024): a Llama with one matrix for queries, keys and values, and one for gate and up. */
export const phi3: Architecture = {
  ...llama,
  className: "Phi3",
  models: "Phi-3, Phi-3.5 mini, Phi-4, Phi-4-mini",
  keys: { agreeing: {}, read: ["full_attn_mod", "interpolate_factor", "lm_head_bias"], unread: ["layer_types"] },
  parse(given) {
    const read = withPhiRope(given);
    for (const key of ["attention_bias", "lm_head_bias"]) if (read.flag(key)) throw read.refused(key, "false");
    for (const key of ["full_attn_mod", "interpolate_factor"]) if ((read.get(key) ?? 1) !== 1) throw read.refused(key, "1");
    const windows = { slides: () => true };
    return decoderConfig(read, { maxPositions, windows, normEps: ["rms_norm_eps", 1e-5], rotaryShare: 1, mlpBias: false });
  },
  /** rope_scaling as transformers 4 has it, with the three keys that its class allows; what share is rotated stands outside. */
  spell(given) {
    const read = withPhiRope(given);
    const headDim = read.size("head_dim", read.size("hidden_size") / read.size("num_attention_heads"));
    const positions = read.size("max_position_embeddings", maxPositions);
    const { rotary, spelled } = readRope(read, { maxPositions: positions, headDim, share: 1 });
    const { rope_type, partial_rotary_factor = 1, original_max_position_embeddings: _, ...factors } = spelled;
    return {
      rope_theta: rotary.theta,
      partial_rotary_factor,
      original_max_position_embeddings: read.get("original_max_position_embeddings"),
      rope_scaling: rope_type === "default" ? null : { type: rope_type, ...factors },
      rope_parameters: { rope_type, ...factors, rope_theta: rotary.theta },
    };
  },
  params: (config) => [embeddingOf(phi3, config), ...layersOf(config, phi3Layer), finalNorm("model.norm", config)],
  attention(config, layer) {
    const name = `${layerName(layer)}.self_attn`;
    return selfAttention(config, layer, name, { projection: { kind: "stacked", name: `${name}.qkv_proj`, layout: "outIn" } });
  },
  /** x += O·attention(norm(x)); x += down·(silu(gate·n) ∘ up·n) with n = norm(x) */
  block(pass, x, attention) {
    const name = layerName(attention.layer);
    const feedForward = (normed: Value) => stackedFeedForward(pass, `${name}.mlp`, normed);
    twoParts(pass, x, attention, { first: `${name}.input_layernorm`, second: `${name}.post_attention_layernorm`, feedForward });
  },
};

/** A gated feed-forward part whose gate and up are one linear, the gate first. */
function stackedFeedForward(pass: Pass, name: string, x: Value): Value {
  const { intermediateSize } = pass.config;
  const both = pass.linear(`${name}.gate_up_proj`, x);
  const [gate, up] = op.split(both, 2, [intermediateSize, intermediateSize]) as [Value, Value];
  return pass.linear(`${name}.down_proj`, op.mul(activated(pass.config, gate), up));
}

/** The weights of {@link stackedFeedForward}. */
const stackedParams = ({ hiddenSize, intermediateSize }: ModelConfig, name: string): ParamSpec[] => [
  ...linear(`${name}.gate_up_proj`, 2 * intermediateSize, hiddenSize, false),
  ...linear(`${name}.down_proj`, hiddenSize, intermediateSize, false),
];

function phi3Layer(config: ModelConfig, name: string): ParamSpec[] {
  const { hiddenSize, heads, kvHeads, headDim } = config;
  return [
    ...norm(`${name}.input_layernorm`, hiddenSize),
    ...linear(`${name}.self_attn.qkv_proj`, (heads + 2 * kvHeads) * headDim, hiddenSize, false),
    ...linear(`${name}.self_attn.o_proj`, hiddenSize, heads * headDim, false),
    ...norm(`${name}.post_attention_layernorm`, hiddenSize),
    ...stackedParams(config, `${name}.mlp`),
  ];
}

/**
 * The config with its rotary embedding as the family's class takes it: every scaling is longrope, whose older names are "su" and
 * "yarn", and the positions of its short factors stand outside of it, or are 4096.
 */
function withPhiRope(read: Fields): Fields {
  const original = { original_max_position_embeddings: read.get("original_max_position_embeddings") ?? maxPositions };
  const scaling = read.within("rope_scaling");
  const [field, rope] =
    Object.keys(scaling.raw).length > 0 ? ["rope_scaling", scaling] : ["rope_parameters", read.within("rope_parameters")];
  const key = rope.has("rope_type") ? "rope_type" : "type";
  const type = rope.text(key, "default");
  if (!["default", "longrope", "su", "yarn"].includes(type)) throw rope.refused(key, "default, longrope (or its older names su, yarn)");
  const { type: _, ...others }: Json = rope.raw;
  const named = { ...others, rope_type: type === "default" ? type : "longrope" };
  return read.replaced({ ...read.raw, ...original, ...(rope.has(key) ? { [field]: named } : {}) });
}
