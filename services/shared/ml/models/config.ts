import { RetortError } from "../../base/errors.js";
import { type Architecture, architectures } from "./architectures.js";

/** Rotary scaling as in Hugging Face's rope_scaling / rope_parameters. */
export type RopeScaling =
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositions: number;
    };

/** What the forward pass needs to know of a model: a normalised config.json. */
export interface ModelConfig {
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
  readonly qkvBias: boolean;
  readonly qkNorm: boolean;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  readonly padId: number | undefined;
  readonly initializerRange: number;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads a Hugging Face config.json, as transformers 4 (`rope_theta`, `rope_scaling`) or 5 (`rope_parameters`) write it.
 * End tokens of generation_config.json are added to those of the config.
 *
 * @throws InvalidArgument naming the file, the field, its value and what is supported
 */
export function parseConfig(raw: Json, generation: Json = {}, file = "config.json"): ModelConfig {
  const read = new Fields(raw, file);
  const type = read.text("model_type");
  if (!(type in architectures)) throw read.refused("model_type", Object.keys(architectures).join(", "));
  const architecture = type as Architecture;
  const activation = read.text("hidden_act", "silu");
  if (activation !== "silu") throw read.refused("hidden_act", "silu");
  if (raw.mlp_bias === true) throw read.refused("mlp_bias", "false");
  const heads = read.size("num_attention_heads");
  const hiddenSize = read.size("hidden_size");
  const rope = (raw.rope_parameters ?? {}) as Json;
  const maxPositions = read.size("max_position_embeddings", 2048);
  const { qkNorm, qkvBias } = architectures[architecture](raw);
  return {
    architecture,
    vocabSize: read.size("vocab_size"),
    hiddenSize,
    intermediateSize: read.size("intermediate_size"),
    layers: read.size("num_hidden_layers"),
    heads,
    kvHeads: read.size("num_key_value_heads", heads),
    headDim: read.size("head_dim", hiddenSize / heads),
    ropeTheta: Number(rope.rope_theta ?? raw.rope_theta ?? 10000),
    ropeScaling: parseScaling(read, rope.rope_type ? rope : ((raw.rope_scaling ?? {}) as Json), maxPositions),
    rmsNormEps: Number(raw.rms_norm_eps ?? 1e-6),
    maxPositions,
    tieWordEmbeddings: raw.tie_word_embeddings === true,
    qkvBias,
    qkNorm,
    bosId: ids(raw.bos_token_id)[0],
    eosIds: [...new Set([...ids(generation.eos_token_id), ...ids(raw.eos_token_id)])],
    padId: ids(raw.pad_token_id ?? generation.pad_token_id)[0],
    initializerRange: Number(raw.initializer_range ?? 0.02),
  };
}

const ids = (value: unknown): number[] => (typeof value === "number" ? [value] : Array.isArray(value) ? value.map(Number) : []);

function parseScaling(read: Fields, scaling: Json, maxPositions: number): RopeScaling | undefined {
  const type = String(scaling.rope_type ?? scaling.type ?? "default");
  const factor = Number(scaling.factor ?? 1);
  if (type === "default") return undefined;
  if (type === "linear") return { type, factor };
  if (type !== "llama3") throw read.refused("rope_type", "default, linear, llama3", type);
  return {
    type,
    factor,
    lowFreqFactor: Number(scaling.low_freq_factor ?? 1),
    highFreqFactor: Number(scaling.high_freq_factor ?? 4),
    originalMaxPositions: Number(scaling.original_max_position_embeddings ?? maxPositions),
  };
}

/** Typed access to a config's fields, with errors that name them. */
class Fields {
  readonly #raw: Json;
  readonly #file: string;

  constructor(raw: Json, file: string) {
    this.#raw = raw;
    this.#file = file;
  }

  text(field: string, fallback?: string): string {
    const value = this.#raw[field] ?? fallback;
    if (typeof value !== "string") throw this.refused(field, "a string");
    return value;
  }

  size(field: string, fallback?: number): number {
    const value = this.#raw[field] ?? fallback;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 1) throw this.refused(field, "a positive whole number", value);
    return value;
  }

  refused(field: string, supported: string, value: unknown = this.#raw[field]): RetortError {
    const found = value === undefined ? "is missing" : `is ${JSON.stringify(value)}`;
    return new RetortError("InvalidArgument", `${this.#file}: ${field} ${found}; supported: ${supported}`);
  }
}
