import { RetortError } from "../../../base/errors.js";
import { isObject, type Json } from "./fields.js";

/** What is missing where no part is. */
const combination = "a combination of parts that no supported family has";

/** What a decoder of another type has that no supported family has, by Hugging Face's `model_type`. */
const lacks: Readonly<Record<string, string>> = {
  afmoe: "gated attention, a shared expert and routing by sigmoid",
  apertus: "the activation xIELU",
  bitnet: "ternary weights",
  bloom: "alibi position biases and a norm of its embedding",
  codegen: "a head with biases, and a fused projection in four shards",
  dbrx: "clipped projections",
  deepseek_v2: "latent attention and shared experts",
  deepseek_v32: "latent, sparse attention, shared experts and routing by sigmoid",
  deepseek_v3: "latent attention, shared experts and routing by sigmoid",
  deepseek_v4: "latent, sparse attention and shared experts",
  diffllama: "differential attention",
  doge: "attention masks that depend on what is read",
  dots1: "shared experts and routing by sigmoid",
  ernie4_5_moe: "shared experts, and a choice of experts by biased probabilities",
  exaone_moe: "shared experts and routing by sigmoid",
  falcon: "projections fused group by group, or alibi position biases",
  falcon_h1: "state-space layers",
  falcon_mamba: "state-space layers",
  flex_olmo: combination,
  gemma3n: "per-layer embeddings and other parts of its own",
  gemma4: "per-layer embeddings and other parts of its own",
  glm4: combination,
  glm4_moe: "shared experts and routing by sigmoid",
  glm: combination,
  gpt_neo: combination,
  gpt_oss: "attention sinks, and experts with biases and clipped activations",
  gptj: "a head with biases",
  granite_swa: "attention sinks and a rotary base for each layer",
  granitemoe: combination,
  granitemoehybrid: "state-space layers",
  granitemoeshared: "a shared expert",
  hunyuan_v1_moe: "a shared expert",
  jais2: combination,
  jamba: "state-space layers",
  kimi_linear: "linear attention",
  lfm2: "short convolutions in place of attention",
  lfm2_moe: "short convolutions in place of attention, and routing by sigmoid",
  llama4_text: "chunked attention, attention temperature, a shared expert and routing by sigmoid",
  mamba2: "state-space layers",
  mamba: "state-space layers",
  minicpm3: "latent attention",
  minimax: "linear attention",
  minimax_m2: "routing by sigmoid",
  ministral3: "attention temperature by position",
  mpt: "alibi position biases and clipped projections",
  nanochat: "norms without weights and a rotation the other way round",
  nemotron: "layer norm of 1 + weight",
  nemotron_h: "state-space layers",
  olmo: "norms without weights and clipped projections",
  olmo_hybrid: "linear attention",
  olmoe: "clipped projections, or a combination of parts that no supported family has",
  persimmon: "norms of heads with biases",
  phi: "a head with biases",
  phimoe: "routing by a sparse mixer",
  qwen2_moe: "an expert of all tokens beside the others, with a gate of its own",
  qwen3_5_text: "linear attention",
  qwen3_next: "linear attention",
  qwen: "its own remote code and logn attention",
  recurrent_gemma: "recurrent layers",
  rwkv: "recurrent layers",
  xglm: "sinusoidal positions",
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
