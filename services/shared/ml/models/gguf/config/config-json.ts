import type { Json } from "../../config/fields.js";
import { shown } from "../../config/shown.js";
import type { GgufFields } from "../header/fields.js";
import type { GgufTensor } from "../header/tensors.js";
import type { GgufFamily, Sizes } from "./family.js";
import { ropeOf } from "./rope.js";

/** What is known of a file before its config is written. */
export interface ConfigSource {
  readonly family: GgufFamily;
  /** The metadata below the architecture's name. */
  readonly own: GgufFields;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** Elements of rope_freqs.weight, where the file has it. */
  readonly ropeFactors: readonly number[] | undefined;
}

/** Keys that say nothing of what a decoder computes. */
const inert = new Set(["pooling_type", "rope.scaling.finetuned", "attention.sliding_window_type"]);

/** Keys of which some values say what these families do anyway. */
const neutral: Readonly<Record<string, readonly unknown[]>> = {
  "attention.causal": [true],
  "attention.clamp_kqv": [0],
  "attention.max_alibi_bias": [0],
  "attention.scale": [0],
  "attention.sliding_window": [0],
  attn_logit_softcapping: [0],
  embedding_scale: [0, 1],
  expert_count: [0],
  expert_used_count: [0],
  final_logit_softcapping: [0],
  logit_scale: [0, 1],
  nextn_predict_layers: [0],
  residual_scale: [0, 1],
  "rope.scaling.attn_factor": [1],
  "rope.scaling.yarn_attn_factor": [1],
  "rope.scaling.original_context_length": [0],
  tensor_data_layout: ["Meta AI original pth"],
  use_parallel_residual: [false],
};

/**
 * The sizes that a file's metadata says.
 *
 * @throws InvalidArgument naming a key whose value no config.json of these families has
 */
export function sizesOf(own: GgufFields): Sizes {
  const [hidden, layers] = [own.size("embedding_length"), own.size("block_count")];
  const heads = own.size("attention.head_count");
  const headDim = own.size("attention.key_length", hidden / heads);
  for (const key of ["attention.value_length", "rope.dimension_count", "attention.key_length_swa", "rope.dimension_count_swa"])
    if (own.size(key, headDim) !== headDim) throw own.refused(key, `the size of a head (${headDim}): all of it is rotated, in every layer`);
  return { hidden, layers, heads, kvHeads: own.size("attention.head_count_kv", heads), headDim };
}

/**
 * The config.json of a file, but for its token ids and element type. Every key below the architecture's name is read, known
 * not to matter, or refused.
 *
 * @throws InvalidArgument naming file, key, value and what is supported
 */
export function configJson({ family, own, tensors, ropeFactors }: ConfigSource, sizes: Sizes): Json {
  const vocabSize = tensors.get("token_embd.weight")?.shape[0];
  if (vocabSize !== undefined && own.size("vocab_size", vocabSize) !== vocabSize)
    throw own.refused("vocab_size", `the rows of token_embd.weight (${vocabSize})`);
  const config = {
    architectures: [family.className],
    model_type: family.modelType,
    vocab_size: vocabSize ?? own.size("vocab_size"),
    hidden_size: sizes.hidden,
    intermediate_size: own.size("feed_forward_length"),
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    num_key_value_heads: sizes.kvHeads,
    head_dim: sizes.headDim,
    max_position_embeddings: own.size("context_length"),
    rms_norm_eps: own.positive("attention.layer_norm_rms_epsilon"),
    tie_word_embeddings: !tensors.has("output.weight"),
    ...ropeOf(own, sizes.headDim, ropeFactors),
    ...family.config(own, sizes, (name) => tensors.has(name)),
  };
  refuseUnread(own);
  return config;
}

function refuseUnread(own: GgufFields): void {
  for (const key of own.unread()) {
    const value = own.get(key);
    const allowed = Object.hasOwn(neutral, key) ? (neutral[key] ?? []) : [];
    if (inert.has(key) || value === undefined || allowed.includes(value)) continue;
    const way = "the logits would silently be others without it; take the model's Hugging Face directory";
    throw own.refused(key, allowed.length ? allowed.map((one) => shown(one as never)).join(", ") : `no such key in this family: ${way}`);
  }
}
