import type { Fields } from "./fields.js";
import type { ModelConfig, Traits } from "./model-config.js";
import { readRope } from "./rope.js";
import { checkWindows, type WindowStyle } from "./windows.js";

/** A decoder without biases and without norms in its attention. */
export const plainTraits: Traits = { qkvBias: false, outputBias: false, mlpBias: false, qkNorm: false };

/** What a family's class in transformers takes for keys that a config.json leaves out, and how it writes windows. */
export interface DecoderDefaults {
  readonly maxPositions: number;
  /** Head size; by default the width by the heads. */
  readonly headDim?: number;
  /** Key and value heads; by default as many as there are heads. */
  readonly kvHeads?: number;
  readonly windows: WindowStyle;
  /** False: the family has no biases in its feed-forward part, and refuses them. */
  readonly mlpBias?: false;
}

/**
 * The model of a decoder's config.json, as transformers 5 reads it.
 *
 * @throws InvalidArgument naming the file, the field, its value and what is supported
 */
export function decoderConfig(read: Fields, defaults: DecoderDefaults, traits: Traits): ModelConfig {
  const activation = read.text("hidden_act", "silu");
  if (activation !== "silu" && activation !== "swish") throw read.refused("hidden_act", "silu");
  if (defaults.mlpBias === false && read.flag("mlp_bias")) throw read.refused("mlp_bias", "false");
  const maxPositions = read.size("max_position_embeddings", defaults.maxPositions);
  const layers = read.size("num_hidden_layers");
  checkWindows(read, defaults.windows, layers, maxPositions);
  const rope = readRope(read, maxPositions);
  const initializerRange = read.get("initializer_range");
  return {
    architecture: read.text("model_type"),
    vocabSize: read.size("vocab_size"),
    hiddenSize: read.size("hidden_size"),
    intermediateSize: read.size("intermediate_size"),
    layers,
    ...headsOf(read, defaults),
    ropeTheta: rope.theta,
    ropeScaling: rope.scaling,
    rmsNormEps: read.positive("rms_norm_eps", 1e-6),
    maxPositions,
    tieWordEmbeddings: read.flag("tie_word_embeddings"),
    ...traits,
    bosId: read.ids("bos_token_id")[0],
    eosIds: [...new Set(read.ids("eos_token_id"))],
    padId: read.ids("pad_token_id")[0],
    initializerRange: typeof initializerRange === "number" ? initializerRange : 0.02,
  };
}

function headsOf(read: Fields, defaults: DecoderDefaults): Pick<ModelConfig, "heads" | "kvHeads" | "headDim"> {
  const [heads, hiddenSize] = [read.size("num_attention_heads"), read.size("hidden_size")];
  const kvHeads = read.size("num_key_value_heads", "num_key_value_heads" in read.raw ? heads : (defaults.kvHeads ?? heads));
  if (heads % kvHeads !== 0) throw read.refused("num_key_value_heads", `a divisor of num_attention_heads (${heads})`, kvHeads);
  const headDim = read.size("head_dim", defaults.headDim ?? hiddenSize / heads);
  if (headDim % 2 !== 0) throw read.refused("head_dim", "an even number", headDim);
  return { heads, kvHeads, headDim };
}
