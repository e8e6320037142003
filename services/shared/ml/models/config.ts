import { type Architecture, architectures, type Family, type Traits } from "./architectures.js";
import { unsupported } from "./config/families.js";
import { Fields, isObject, type Json } from "./config/fields.js";
import { checkKeys } from "./config/keys.js";
import { type RopeScaling, readRope } from "./config/rope.js";
import { checkWindows } from "./config/windows.js";

export type { RopeScaling } from "./config/rope.js";

/** What the forward pass needs to know of a model: a normalised config.json. */
export interface ModelConfig extends Traits {
  readonly architecture: Architecture;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling | undefined;
  readonly rmsNormEps: number;
  readonly maxPositions: number;
  readonly tieWordEmbeddings: boolean;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  readonly padId: number | undefined;
  readonly initializerRange: number;
}

/**
 * Reads a Hugging Face config.json, as transformers 4 (`rope_theta`, `rope_scaling`) or 5 (`rope_parameters`) write it, as
 * transformers 5 does: the same defaults for keys that are left out. Every key is read, known not to matter, or refused.
 * End tokens of generation_config.json are added to those of the config.
 *
 * @throws InvalidArgument naming the file, the field, its value and what is supported
 */
export function parseConfig(raw: Json, generation: Json = {}, file = "config.json"): ModelConfig {
  const type = raw.model_type;
  if (typeof type !== "string" || !Object.hasOwn(architectures, type)) throw unsupported(raw, file, Object.keys(architectures));
  const architecture = type as Architecture;
  const family: Family = architectures[architecture];
  const read = new Fields(raw, file);
  refuseForeign(read, architecture);
  const maxPositions = read.size("max_position_embeddings", family.maxPositions);
  const layers = read.size("num_hidden_layers");
  checkWindows(read, architecture, layers, maxPositions);
  const rope = readRope(read, maxPositions);
  const generated = new Fields(generation, file.replace(/config\.json$/, "generation_config.json"));
  return {
    architecture,
    vocabSize: read.size("vocab_size"),
    hiddenSize: read.size("hidden_size"),
    intermediateSize: read.size("intermediate_size"),
    layers,
    ...headsOf(read, family),
    ropeTheta: rope.theta,
    ropeScaling: rope.scaling,
    rmsNormEps: read.positive("rms_norm_eps", 1e-6),
    maxPositions,
    tieWordEmbeddings: read.flag("tie_word_embeddings"),
    ...family.traits(read),
    bosId: read.ids("bos_token_id")[0],
    eosIds: [...new Set([...generated.ids("eos_token_id"), ...read.ids("eos_token_id")])],
    padId: [...read.ids("pad_token_id"), ...generated.ids("pad_token_id")][0],
    initializerRange: typeof raw.initializer_range === "number" ? raw.initializer_range : 0.02,
  };
}

function refuseForeign(read: Fields, architecture: Architecture): void {
  for (const key of ["quantization_config", "compression_config", "quantization"])
    if (isObject(read.get(key)))
      throw read.refused(
        key,
        "none: the weights are quantised; dequantise first (load the model with transformers, model.dequantize(), save_pretrained), or take the directory that it was made from",
      );
  for (const key of ["text_config", "vision_config", "audio_config"])
    if (isObject(read.get(key)))
      throw read.refused(key, "none: Retort reads language models alone; save the language model as a directory of its own");
  const activation = read.text("hidden_act", "silu");
  if (activation !== "silu" && activation !== "swish") throw read.refused("hidden_act", "silu");
  if (architecture !== "llama" && read.flag("mlp_bias")) throw read.refused("mlp_bias", "false");
  checkKeys(read, architecture);
}

function headsOf(read: Fields, family: Family): Pick<ModelConfig, "heads" | "kvHeads" | "headDim"> {
  const [heads, hiddenSize] = [read.size("num_attention_heads"), read.size("hidden_size")];
  const kvHeads = read.size("num_key_value_heads", "num_key_value_heads" in read.raw ? heads : (family.kvHeads ?? heads));
  if (heads % kvHeads !== 0) throw read.refused("num_key_value_heads", `a divisor of num_attention_heads (${heads})`, kvHeads);
  const headDim = read.size("head_dim", family.headDim ?? hiddenSize / heads);
  if (headDim % 2 !== 0) throw read.refused("head_dim", "an even number", headDim);
  return { heads, kvHeads, headDim };
}
