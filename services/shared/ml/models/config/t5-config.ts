import { activationNamed, plainTraits } from "./decoder-config.js";
import type { Fields, Json } from "./fields.js";
import type { ModelConfig } from "./model-config.js";

/** Names of T5's keys, by those of other families. */
export const t5Aliases = {
  head_dim: "d_kv",
  hidden_size: "d_model",
  intermediate_size: "d_ff",
  num_attention_heads: "num_heads",
  num_hidden_layers: "num_layers",
} as const;

/** Distances are looked up in a table as long as this, at most. */
const farthestDistance = 65_536;

/**
 * The model of a T5's config.json, as transformers 5 reads it: the same defaults, and hidden states scaled by d_model^−½ on
 * their way to the head unless `scale_decoder_outputs` (before transformers 5: tie_word_embeddings) is false.
 *
 * @param maxPositions most tokens of a prompt and its completion together
 * @throws InvalidArgument naming the file, the field, its value and what is supported
 */
export function t5Config(read: Fields, maxPositions: number): ModelConfig {
  const [hiddenSize, heads] = [read.size("hidden_size", 512), read.size("num_attention_heads", 8)];
  const encoderLayers = read.size("num_hidden_layers", 6);
  const layers = read.size("num_decoder_layers", encoderLayers);
  const tieWordEmbeddings = read.flag("tie_word_embeddings", true);
  const { gated, activation } = feedForwardOf(read);
  const padId = read.has("pad_token_id") ? read.ids("pad_token_id")[0] : 0;
  const [startId = padId] = read.ids("decoder_start_token_id");
  if (startId === undefined)
    throw read.refused("decoder_start_token_id", "a token id; completions begin behind it (T5's is that of its pad token)");
  return {
    architecture: read.text("model_type"),
    vocabSize: read.size("vocab_size", 32128),
    hiddenSize,
    intermediateSize: read.size("intermediate_size", 2048),
    layers,
    heads,
    kvHeads: heads,
    headDim: read.size("head_dim", 64),
    layerKinds: Array.from({ length: layers }, () => ({ rotary: undefined, window: undefined })),
    encoderDecoder: { encoderLayers, ...bucketsOf(read), gated, startId },
    norm: "rms",
    normEps: read.positive("layer_norm_epsilon", 1e-6),
    activation,
    ...plainTraits,
    attentionScale: 1,
    logitScale: read.flag("scale_decoder_outputs", tieWordEmbeddings) ? hiddenSize ** -0.5 : 1,
    maxPositions,
    tieWordEmbeddings,
    bosId: read.ids("bos_token_id")[0],
    eosIds: read.has("eos_token_id") ? [...new Set(read.ids("eos_token_id"))] : [1],
    padId,
    initializerRange: read.positive("initializer_factor", 1),
  };
}

/** A T5 as of version 1.1, but for the head, which may be tied: gated, and as many layers in the encoder as in the decoder. */
export function freshT5(llamas: Json): Json {
  const { num_key_value_heads, max_position_embeddings, initializer_range, rope_theta, rms_norm_eps, ...others } = llamas;
  return { ...others, is_encoder_decoder: true, feed_forward_proj: "gated-gelu" };
}

/**
 * The feed-forward part by feed_forward_proj, as transformers takes it apart: an activation's name, or `gated-` and one. Where
 * dense_act_fn and is_gated_act are there too, transformers goes by them: they must say the same.
 */
function feedForwardOf(read: Fields): Pick<ModelConfig, "activation"> & { readonly gated: boolean } {
  const name = read.text("feed_forward_proj", "relu");
  const gated = name.startsWith("gated-");
  // Published configs say gelu and mean its approximation.
  const activation = activationNamed(name === "gated-gelu" ? "gelu_new" : gated ? name.slice("gated-".length) : name);
  if (!activation) throw read.refused("feed_forward_proj", "relu, gelu, gelu_new, silu, each also behind gated-");
  const bend = read.text("dense_act_fn", name);
  if (bend !== name && activationNamed(bend) !== activation) throw read.refused("dense_act_fn", `what feed_forward_proj (${name}) says`);
  if (read.flag("is_gated_act", gated) !== gated) throw read.refused("is_gated_act", `what feed_forward_proj (${name}) says, ${gated}`);
  return { gated, activation };
}

function bucketsOf(read: Fields): { readonly buckets: number; readonly maxDistance: number } {
  const buckets = read.size("relative_attention_num_buckets", 32);
  const maxDistance = read.size("relative_attention_max_distance", 128);
  if (buckets < 4) throw read.refused("relative_attention_num_buckets", "4 or more", buckets);
  const half = Math.floor(buckets / 2);
  if (maxDistance <= half || maxDistance > farthestDistance)
    throw read.refused(
      "relative_attention_max_distance",
      `more than half of relative_attention_num_buckets (${half}), and at most ${farthestDistance}`,
      maxDistance,
    );
  return { buckets, maxDistance };
}

/** What is said of a T5's head, so that transformers 4 and 5 read the same. */
export const spellT5Head = ({ tieWordEmbeddings, logitScale }: ModelConfig): Json => ({
  tie_word_embeddings: tieWordEmbeddings,
  scale_decoder_outputs: logitScale !== 1,
});

/** What is said of a saved T5 for programs that have no defaults of their own: where completions begin, too. */
export const spellT5 = (config: ModelConfig): Json => ({
  ...spellT5Head(config),
  decoder_start_token_id: config.encoderDecoder?.startId,
});
