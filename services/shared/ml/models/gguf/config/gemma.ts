import type { GgufFields } from "../header/fields.js";
import { type GgufFamily, type Sizes, usualParts } from "./family.js";

/** Gemma: norms of 1 + weight, which are stored as such. */
export const gemma: GgufFamily = {
  modelType: "gemma",
  className: "GemmaForCausalLM",
  interleaved: false,
  normsPlusOne: true,
  parts: usualParts,
  config: () => ({ hidden_act: "gelu_pytorch_tanh", hidden_activation: "gelu_pytorch_tanh", attention_bias: false }),
};

const parts2 = {
  ...usualParts,
  post_attention_norm: "post_attention_layernorm",
  ffn_norm: "pre_feedforward_layernorm",
  post_ffw_norm: "post_feedforward_layernorm",
};

/** Gemma 2: soft caps, and a sliding window in every other layer. */
export const gemma2: GgufFamily = {
  ...gemma,
  modelType: "gemma2",
  className: "Gemma2ForCausalLM",
  parts: parts2,
  config: (own, sizes) => ({
    hidden_act: "gelu_pytorch_tanh",
    hidden_activation: "gelu_pytorch_tanh",
    attention_bias: false,
    // What llama.cpp takes where a file has none.
    attn_logit_softcapping: own.positive("attn_logit_softcapping", 50),
    final_logit_softcapping: own.positive("final_logit_softcapping", 30),
    query_pre_attn_scalar: queryScalar(own, sizes, 46),
    sliding_window: own.size("attention.sliding_window", 4096),
    layer_types: layerTypes(own, sizes, 2),
  }),
};

/** Gemma 3: norms of queries and keys, and layers with a sliding window that rotate by a base of their own. */
export const gemma3: GgufFamily = {
  ...gemma2,
  modelType: "gemma3_text",
  className: "Gemma3ForCausalLM",
  parts: { ...parts2, attn_q_norm: "self_attn.q_norm", attn_k_norm: "self_attn.k_norm" },
  config: (own, sizes) => ({
    hidden_activation: "gelu_pytorch_tanh",
    attention_bias: false,
    attn_logit_softcapping: null,
    final_logit_softcapping: finalSoftCap(own),
    query_pre_attn_scalar: queryScalar(own, sizes, 62),
    sliding_window: own.size("attention.sliding_window"),
    layer_types: layerTypes(own, sizes, 6),
    rope_local_base_freq: own.positive("rope.freq_base_swa", 10000),
  }),
};

/** The cap of the last logits; absent or 0: none. */
function finalSoftCap(own: GgufFields): number | null {
  const value = own.get("final_logit_softcapping");
  return value === undefined || value === 0 ? null : own.positive("final_logit_softcapping");
}

/**
 * Queries are divided by the root of this. Files do not say it: it is the head size, but in the family's largest model,
 * which llama.cpp tells by its number of layers, the width by the heads.
 */
function queryScalar(own: GgufFields, { hidden, layers, heads, headDim }: Sizes, largest: number): number {
  const scale = own.get("attention.scale");
  if (typeof scale === "number" && scale > 0) return Number((1 / scale ** 2).toPrecision(6));
  return layers === largest ? hidden / heads : headDim;
}

/** All layers have a window but the last of each group of so many. */
function layerTypes(own: GgufFields, { layers }: Sizes, usual: number): string[] {
  const pattern = own.get("attention.sliding_window_pattern");
  const named = (slides: boolean) => (slides ? "sliding_attention" : "full_attention");
  if (Array.isArray(pattern)) {
    if (pattern.length !== layers || !pattern.every((one) => typeof one === "boolean"))
      throw own.refused("attention.sliding_window_pattern", `true or false for each of ${layers} layers`);
    return pattern.map((one) => named(one === true));
  }
  const period = own.size("attention.sliding_window_pattern", usual);
  return Array.from({ length: layers }, (_, layer) => named((layer + 1) % period !== 0));
}
