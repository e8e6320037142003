import { RetortError } from "../../../base/errors.js";
import { isObject, type Json } from "./fields.js";

/** What a decoder of another type has that Retort does not compute, by Hugging Face's `model_type`. */
const lacks: Readonly<Record<string, string>> = {
  afmoe: "experts and gated attention",
  apertus: "the activation xIELU",
  bitnet: "ternary weights",
  bloom: "alibi position biases, layer norm and GELU",
  codegen: "a partial, interleaved rotary embedding, parallel attention and feed-forward and layer norm",
  dbrx: "experts",
  deepseek_v2: "latent attention and experts",
  deepseek_v32: "latent, sparse attention and experts",
  deepseek_v3: "latent attention and experts",
  deepseek_v4: "latent, sparse attention and experts",
  diffllama: "differential attention",
  doge: "attention masks that depend on what is read",
  dots1: "experts",
  ernie4_5_moe: "experts",
  exaone_moe: "experts",
  falcon: "projections fused group by group, or alibi position biases",
  falcon_h1: "state-space layers",
  falcon_mamba: "state-space layers",
  flex_olmo: "experts",
  gemma3n: "per-layer embeddings and other parts of its own",
  gemma4: "per-layer embeddings and other parts of its own",
  glm4: "a partial, interleaved rotary embedding, norms after each part and fused projections",
  glm4_moe: "experts",
  glm: "a partial, interleaved rotary embedding and fused projections",
  gpt_neo: "local attention in every other layer, and unscaled scores",
  gpt_oss: "experts, attention sinks and sliding windows",
  gptj: "a head with biases",
  granite_swa: "attention sinks and a rotary base for each layer",
  granitemoe: "multipliers of embedding, attention, residuals and logits, and experts",
  granitemoehybrid: "state-space layers and experts",
  granitemoeshared: "multipliers of embedding, attention, residuals and logits, and experts",
  hunyuan_v1_moe: "experts",
  jais2: "layer norm and a feed-forward part without a gate",
  jamba: "state-space layers and experts",
  kimi_linear: "linear attention and experts",
  lfm2: "short convolutions in place of attention",
  lfm2_moe: "short convolutions in place of attention, and experts",
  llama4_text: "experts, chunked attention, layers without rotary embedding and attention temperature",
  mamba2: "state-space layers",
  mamba: "state-space layers",
  minicpm3: "latent attention",
  minimax: "linear attention and experts",
  minimax_m2: "experts",
  ministral3: "attention temperature by position",
  mpt: "alibi position biases, layer norm and fused projections",
  nanochat: "norms without weights and a rotation the other way round",
  nemotron: "layer norm of 1 + weight, squared ReLU and a partial rotary embedding",
  nemotron_h: "state-space layers",
  olmo: "norms without weights and clipped projections",
  olmo_hybrid: "linear attention",
  olmoe: "experts",
  persimmon: "layer norm of heads, fused projections and squared ReLU",
  phi: "a head with biases",
  phimoe: "experts",
  qwen2_moe: "an expert of all tokens beside the others, with a gate of its own",
  qwen3_5_text: "linear attention",
  qwen3_next: "linear attention and experts",
  qwen: "its own remote code, fused projections and logn attention",
  recurrent_gemma: "recurrent layers",
  rwkv: "recurrent layers",
  xglm: "sinusoidal positions, layer norm and GELU",
  xlstm: "recurrent layers",
  youtu: "latent attention",
  zamba2: "state-space layers",
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
    const known = inner === "text_config" && supported.some((one) => one === own);
    return refusal(
      `${file}: model_type is ${JSON.stringify(type)}, a model of more than text around a language model (${inner}${own ? `, of type ${JSON.stringify(own)}` : ""}); Retort reads language models alone (supported: ${list}): ${known ? takeOut : "save the language model with its own config as a directory of its own"}`,
    );
  }
  const missing = typeof type === "string" ? lacks[type] : undefined;
  const parts = missing ? `it needs ${missing}` : "another family has parts of its own, and its weights mean nothing without them";
  return refusal(`${file}: model_type is ${JSON.stringify(type)}; supported: ${list}. ${parts}; choose a model of a supported family`);
}

/** How transformers gives a model's text part alone. */
const takeOut =
  "its language model is one of these; to save it as a directory of its own, let transformers load the model (AutoModelForImageTextToText), make a text model of its config.text_config (AutoModelForCausalLM.from_config), set the text model's .model to .model.language_model and its .lm_head to .lm_head, call save_pretrained, and copy the tokenizer's files beside it";

const refusal = (message: string) => new RetortError("InvalidArgument", message);
