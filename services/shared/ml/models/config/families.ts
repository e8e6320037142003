import { RetortError } from "../../../base/errors.js";
import { isObject, type Json } from "./fields.js";

/** What a decoder of another type has that Retort does not compute, by Hugging Face's `model_type`. */
const lacks: Readonly<Record<string, string>> = {
  bloom: "alibi position biases, layer norm and GELU",
  cohere: "parallel attention and feed-forward, layer norm and logit scaling",
  cohere2: "parallel attention and feed-forward, layer norm, logit scaling and sliding windows",
  deepseek_v2: "latent attention and experts",
  deepseek_v3: "latent attention and experts",
  falcon: "parallel attention and feed-forward, layer norm and fused projections",
  gemma: "scaled embeddings, norms of 1 + weight and a GELU gate",
  gemma2: "scaled embeddings, norms of 1 + weight around each part, soft caps, sliding windows and a GELU gate",
  gemma3_text: "scaled embeddings, norms of 1 + weight around each part, sliding windows with their own rotary base and a GELU gate",
  glm: "a partial, interleaved rotary embedding and fused projections",
  glm4: "a partial, interleaved rotary embedding, norms after each part and fused projections",
  gpt2: "learned positions, layer norm, GELU and fused projections",
  gpt_bigcode: "learned positions, layer norm, GELU and fused projections",
  gpt_neo: "learned positions, local attention, layer norm and GELU",
  gpt_neox: "a partial rotary embedding, parallel attention and feed-forward, layer norm and fused projections",
  gpt_oss: "experts, attention sinks and sliding windows",
  gptj: "a partial, interleaved rotary embedding, parallel attention and feed-forward and layer norm",
  granitemoe: "multipliers of embedding, attention, residuals and logits, and experts",
  jamba: "state-space layers and experts",
  llama4_text: "experts, chunked attention, layers without rotary embedding and attention temperature",
  mamba: "state-space layers",
  mamba2: "state-space layers",
  ministral: "sliding windows",
  mixtral: "experts",
  mpt: "alibi position biases, layer norm and fused projections",
  nemotron: "layer norm of 1 + weight, squared ReLU and a partial rotary embedding",
  olmo: "norms without weights and clipped projections",
  olmo3: "norms after each part, norms of whole queries and keys, and sliding windows",
  opt: "learned positions, layer norm and ReLU",
  phi: "a partial rotary embedding, parallel attention and feed-forward, layer norm and GELU",
  phi3: "fused projections, and longrope in some sizes",
  qwen: "its own remote code, fused projections and logn attention",
  qwen2_moe: "experts",
  qwen3_moe: "experts",
  qwen3_next: "linear attention and experts",
  stablelm: "a partial rotary embedding and layer norm",
  starcoder2: "layer norm, GELU and sliding windows",
};

/**
 * Why a config's model type is not supported, and what would be needed.
 *
 * @param supported the types that are
 */
export function unsupported(raw: Json, file: string, supported: readonly string[]): RetortError {
  const type = raw.model_type;
  const list = supported.join(", ");
  if (type === undefined) return refusal(`${file}: model_type is missing; supported: ${list}`);
  const inner = ["text_config", "llm_config", "language_config"].find((key) => isObject(raw[key]));
  if (inner !== undefined) {
    const own = (raw[inner] as Json).model_type;
    return refusal(
      `${file}: model_type is ${JSON.stringify(type)}, a model of more than text around a language model (${inner}${own ? `, of type ${JSON.stringify(own)}` : ""}); Retort reads language models alone (supported: ${list}): save the language model with its own config as a directory of its own`,
    );
  }
  const missing = typeof type === "string" ? lacks[type] : undefined;
  const parts = missing ? `it needs ${missing}` : "another family has parts of its own, and its weights mean nothing without them";
  return refusal(`${file}: model_type is ${JSON.stringify(type)}; supported: ${list}. ${parts}; choose a model of a supported family`);
}

const refusal = (message: string) => new RetortError("InvalidArgument", message);
