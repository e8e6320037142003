import { type Fields, isObject } from "./fields.js";

/** Keys that the parser reads, or that say what file this is. */
const read = `architectures attention_bias bos_token_id eos_token_id head_dim hidden_act hidden_size initializer_range intermediate_size
  layer_types max_position_embeddings max_window_layers mlp_bias model_type num_attention_heads num_hidden_layers num_key_value_heads
  original_max_position_embeddings pad_token_id partial_rotary_factor quantization_config rms_norm_eps rope_parameters rope_scaling
  rope_theta sliding_window tie_word_embeddings use_sliding_window vocab_size`;

/** Keys that leave a decoder's logits as they are, by the reason. */
const inert = {
  "act in training only": `attention_dropout attention_probs_dropout_prob attn_dropout attn_pdrop aux_loss_coef classifier_dropout
    classifier_dropout_prob dropout dropout_rate embd_pdrop embedding_dropout emb_pdrop ffn_dropout fused_linear_cross_entropy
    gradient_checkpointing hidden_dropout hidden_dropout_prob init_std initializer_factor label_smoothing layerdrop mlp_dropout
    output_router_logits resid_dropout resid_pdrop residual_dropout router_aux_loss_coef router_jitter_noise router_z_loss_coef
    use_fused_cross_entropy use_fused_linear_cross_entropy z_loss`,
  "say how, not what, is computed": `cache_implementation _attn_implementation _attn_implementation_autoset _attn_implementation_internal
    _experts_implementation _experts_implementation_internal _flash_attn_2_enabled attn_implementation experts_implementation
    mixed_precision pretraining_tp tensor_parallel_degree torchscript use_bfloat16 use_cache use_fused_rms_norm use_flash_attention use_flash_attention_2
    use_flash_attn use_kernels`,
  "say where it comes from": `_commit_hash _name_or_path auto_map base_model dtype finetuning_task is_llama_config language license
    model_name name_or_path tags tokenizer_class torch_dtype transformers.js_config transformers_version unsloth_fixed unsloth_version`,
  "belong to other programs or heads": `add_classification_head class_num dense_list eod_token_id im_end_id im_newline_id im_start_id
    mask_init_id org_vocab_size pad_id pool_type text_end_id text_start_id chunk_size_feed_forward cross_attention_hidden_size decoder_start_token_id id2label is_composition
    is_encoder_decoder label2id max_length max_position max_sequence_length max_seq_len max_seq_length model_max_length n_ctx n_positions num_labels output_attentions
    output_hidden_states output_scores prefix problem_type pruned_heads return_dict return_dict_in_generate
    sep_token_id seq_length task_specific_params tf_legacy_loss tie_encoder_decoder unk_token_id use_return_dict vision_end_token_id
    summary_activation summary_first_dropout summary_last_dropout summary_proj_to_labels summary_type summary_use_proj
    vision_start_token_id vision_token_id image_token_id video_token_id cls_token_id mask_token_id loss_type user_defined_symbols`,
  "are settings of generation": `bad_words_ids begin_suppress_tokens diversity_penalty do_sample early_stopping encoder_no_repeat_ngram_size
    epsilon_cutoff eta_cutoff exponential_decay_length_penalty forced_bos_token_id forced_eos_token_id length_penalty max_new_tokens
    min_length min_p no_repeat_ngram_size num_beam_groups num_beams num_return_sequences penalty_alpha remove_invalid_values
    renormalize_logits repetition_penalty suppress_tokens temperature top_k top_p typical_p`,
} as const;

const words = (text: string): string[] => text.split(/\s+/);
const known = new Set([read, ...Object.values(inert)].flatMap(words));

/** Keys of which one value, or some, say what these families do anyway. null, false, 0, "" and empty lists need no line here. */
const neutral: Readonly<Record<string, readonly unknown[]>> = {
  activation: ["silu", "swish", "swiglu"],
  activation_function: ["silu", "swish"],
  apply_rotary_pos_emb: [true],
  attention_type: ["full", "full_attention", "causal"],
  embedding_multiplier: [1],
  embedding_scale: [1],
  embed_scale: [1],
  hidden_activation: ["silu", "swish", "swiglu"],
  is_causal: [true],
  is_decoder: [true, false],
  key_multiplier: [1],
  lm_head_multiplier: [1],
  logit_scale: [1],
  logits_scaling: [1],
  norm_type: ["rmsnorm", "rms_norm", "RMSNorm"],
  normalization: ["rmsnorm", "rms_norm", "RMSNorm"],
  position_embedding_type: ["rope", "rotary", "absolute"],
  residual_multiplier: [1],
  rotary_pct: [1],
  scale_attn_weights: [true],
  scale_emb: [1],
  use_rope: [true],
};

/** What keys of a family with layer norms say of them, where they say what it does. */
export const layerNormed: Readonly<Record<string, readonly unknown[]>> = Object.fromEntries(
  ["norm_type", "normalization"].map((key) => [key, ["layer_norm", "layernorm", "LayerNorm"]]),
);

/** Keys whose 0 or false is no "off": they multiply, or switch off what these families do. */
const noOff = /multiplier|(^|_)scal(e|ing)(_|$)|rotary_pct|^(use_rope|apply_rotary_pos_emb|is_causal|scale_attn_weights|use_causal_mask)$/;

/** Names that speak of a decoder's mathematics, as transformers' and others' decoder configs have them. */
const mathematical = new RegExp(
  [
    "scal|multipl|softcap|_cap$|clip|window|sliding|(^|_)rope|rotary|alibi|position|norm|(^|_)eps(ilon)?$|bias|interleav|temperature|mup",
    "residual|parallel|partial|sink|attention|attn|bidirectional|prefix_lm|causal|cross|sparse|index_|query|qk|logit|_model_base",
    "expert|moe|router|latent|lora|_rank$|mamba|ssm|(^|_)conv(_|\\d|$)|state|recurr|cycles|_loops?$|ngram|xformers",
    "layer|head|activation|(^|_)act(_|$)|act_fn|embed|altup|laurel|gate|gating|mlp|ffn|swiglu|mtp|nextn|decoder|hc_|rel_|channels",
    "transformers_weights",
  ].join("|"),
);

/** Keys of another kind that a decoder does not read, whatever their names say, and that are worth a word. */
const curious = new Set(["dual_chunk_attention_config", "num_nextn_predict_layers"]);

/** What keys that other families have mean to a family. */
export interface KeyMeanings {
  /** Keys that name a trait of the family, with the values that agree with it. */
  readonly agreeing: Readonly<Record<string, readonly unknown[]>>;
  /** Keys that the family's own parser reads, beside those of every decoder. */
  readonly read?: readonly string[];
  /** Keys of other decoders that the family passes over: they are refused where they say anything. */
  readonly unread?: readonly string[];
  /** Keys whose false denies a trait of the family. */
  readonly denying?: RegExp;
}

const off = (value: unknown): boolean =>
  value === null ||
  value === undefined ||
  value === false ||
  value === 0 ||
  value === "" ||
  (typeof value === "object" && Object.keys(value).length === 0);

const isNull = (value: unknown): boolean => value === null || value === undefined;

/** Whether a key's value leaves the logits of a family as they are, as far as its name tells. */
function harmless(key: string, value: unknown, { agreeing, denying }: KeyMeanings): boolean {
  // What a family says of a key goes before what most families do.
  const meanings = [agreeing, neutral].find((one) => Object.hasOwn(one, key));
  if (meanings?.[key]?.includes(value)) return true;
  // SmolLM3 marks the layers that are rotated with 1.
  if (key === "no_rope_layers" && Array.isArray(value) && value.every((one) => one === 1)) return true;
  return noOff.test(key) || denying?.test(key) ? isNull(value) : off(value);
}

/**
 * Refuses keys that would change what a model computes and that no model of this family reads: configs are renamed to a
 * known family, and transformers then passes over the rest without a word.
 *
 * @throws InvalidArgument naming every such key with its value, and the way out
 */
export function checkKeys(fields: Fields, family: string, meanings: KeyMeanings): void {
  const strange = Object.entries(fields.raw).filter(
    ([key, value]) =>
      (!known.has(key) || meanings.unread?.includes(key)) &&
      !meanings.read?.includes(key) &&
      !curious.has(key) &&
      !harmless(key, value, meanings) &&
      (mathematical.test(key) || meanings.unread?.includes(key) || Object.hasOwn(neutral, key)),
  );
  if (strange.length === 0) return;
  const list = strange.map(([key, value]) => `${key} is ${brief(value)}`).join(", ");
  throw fields.error(
    `${list}: a model of type ${family} knows no such thing, and the logits would silently be others where it means something; if the model was made without it, remove it from a copy of the directory, else use the model's own type`,
  );
}

/**
 * What a config.json says that nothing reads, each with its value; see {@link checkKeys} for what is refused.
 *
 * @param own keys that the family reads
 * @param className stem of its classes
 * @param maxPositions of the model as it is read
 */
export function configWarnings(
  raw: Readonly<Record<string, unknown>>,
  own: readonly string[] = [],
  className?: string,
  maxPositions?: number,
): string[] {
  const strange = Object.entries(raw).filter(
    ([key, value]) => !known.has(key) && !own.includes(key) && !Object.hasOwn(neutral, key) && !off(value),
  );
  const family = String(raw.model_type);
  const unread = strange
    .filter(([key]) => !mathematical.test(key) || curious.has(key))
    .map(([key, value]) => `config.json: ${key} is ${brief(value)}, which no model of type ${family} reads`);
  return [...unread, ...otherClass(raw, className), ...twoRopes(raw), ...shortened(raw, maxPositions)];
}

/** The class that a config names beside its type, where that is another family's. */
function otherClass({ architectures, model_type }: Readonly<Record<string, unknown>>, className: string | undefined): string[] {
  const first: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  if (typeof first !== "string" || typeof model_type !== "string") return [];
  const [named, type] = [first.toLowerCase().replace(/_/g, ""), model_type.replace(/_text$|_/g, "")];
  if (named.startsWith(type) || (className !== undefined && first.startsWith(className))) return [];
  return [
    `config.json: architectures names ${first}, and model_type ${model_type}; the model is computed as ${model_type}, as transformers does`,
  ];
}

/** rope_scaling and rope_parameters that do not say the same. */
function twoRopes({ rope_scaling, rope_parameters, rope_theta }: Readonly<Record<string, unknown>>): string[] {
  if (!isObject(rope_scaling) || !isObject(rope_parameters) || Object.keys(rope_scaling).length === 0) return [];
  const spelled = (rope: Readonly<Record<string, unknown>>) => {
    const { type, rope_type = type, rope_theta: own = rope_theta ?? 10000, ...others } = rope;
    return JSON.stringify(Object.entries({ ...others, rope_type, own }).sort(([a], [b]) => (a < b ? -1 : 1)));
  };
  // By layer type, a scaling is that of the layers which see all.
  const { full_attention = rope_parameters } = rope_parameters;
  if (!isObject(full_attention) || spelled(rope_scaling) === spelled(full_attention)) return [];
  return ["config.json: rope_scaling and rope_parameters differ; rope_scaling is read, as transformers 5 does"];
}

/** A model that reads shorter texts than its config says: longrope's end where its other factors would begin. */
function shortened({ max_position_embeddings: all }: Readonly<Record<string, unknown>>, maxPositions: number | undefined): string[] {
  if (maxPositions === undefined || typeof all !== "number" || maxPositions >= all) return [];
  return [
    `config.json: texts of at most ${maxPositions.toLocaleString("en")} tokens are read, not of max_position_embeddings (${all.toLocaleString("en")}): beyond original_max_position_embeddings its rotary embedding changes its factors`,
  ];
}

function brief(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
