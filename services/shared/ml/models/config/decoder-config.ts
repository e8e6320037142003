import type { Fields, Json } from "./fields.js";
import type { Activation, LayerKind, ModelConfig } from "./model-config.js";
import { headSize, type Rope, type Rotary, readRope, spellRope } from "./rope.js";
import { type Windows, windowsOf } from "./windows.js";

/** What a family's class in transformers takes for keys that a config.json leaves out, and how it writes some. */
export interface DecoderDefaults {
  readonly maxPositions: number;
  /** Head size; by default the width by the heads. `even`: always that, and another is refused. */
  readonly headDim?: number | "even";
  /** Key and value heads; by default as many as there are heads. `heads`: always that, and another number is refused. */
  readonly kvHeads?: number | "heads";
  readonly windows: Windows;
  /** Name of the key that holds the norms' epsilon, and its default; `rms_norm_eps` and 1e-6 if absent. */
  readonly normEps?: readonly [key: string, value: number];
  /** Name of the key that holds the activation, and its default; `hidden_act` and silu if absent. */
  readonly activation?: readonly [key: string, value: string];
  /** Activations that the family computes; silu alone if absent. */
  readonly activations?: readonly Activation[];
  readonly tied?: boolean;
  readonly ropeTheta?: number;
  /** `rope_parameters` where a config has none. */
  readonly ropeParameters?: Json;
  /** Share of each head that is rotated. */
  readonly rotaryShare?: number;
  /** Pairs of channels that are rotated are neighbours. */
  readonly rotaryInterleaved?: boolean;
  /** False: the family has no biases in its feed-forward part, and refuses them. */
  readonly mlpBias?: false;
}

/** What of it the rotary embedding depends on. */
type RopeDefaults = Pick<
  DecoderDefaults,
  "headDim" | "maxPositions" | "ropeParameters" | "ropeTheta" | "rotaryInterleaved" | "rotaryShare"
>;

/** A model without what some families have: biases, norms of queries and keys, experts, caps, and factors other than 1. */
export const plainTraits = {
  qkvBias: false,
  outputBias: false,
  mlpBias: false,
  qkNorm: undefined,
  experts: undefined,
  parallel: false,
  attentionSoftCap: undefined,
  embeddingScale: 1,
  residualScale: 1,
  logitScale: 1,
  logitSoftCap: undefined,
  learnedPositions: undefined,
} as const satisfies Partial<ModelConfig>;

/** What an activation is called in transformers. */
const activations: Readonly<Record<string, Activation>> = {
  gelu: "gelu",
  gelu_fast: "geluTanh",
  gelu_new: "geluTanh",
  gelu_pytorch_tanh: "geluTanh",
  relu: "relu",
  relu2: "relu2",
  silu: "silu",
  swish: "silu",
};

/**
 * The model of a decoder's config.json, as transformers 5 reads it.
 *
 * @param own what sets the family apart from a Llama
 * @throws InvalidArgument naming the file, the field, its value and what is supported
 */
export function decoderConfig(read: Fields, defaults: DecoderDefaults, own: Partial<ModelConfig> = {}): ModelConfig {
  const [epsKey, eps] = defaults.normEps ?? ["rms_norm_eps", 1e-6];
  if (defaults.mlpBias === false && read.flag("mlp_bias")) throw read.refused("mlp_bias", "false");
  const layers = read.size("num_hidden_layers");
  const heads = headsOf(read, defaults);
  const activation = activationOf(read, defaults);
  const maxPositions = read.size("max_position_embeddings", defaults.maxPositions);
  const initializerRange = read.get("initializer_range");
  return {
    architecture: read.text("model_type"),
    vocabSize: read.size("vocab_size"),
    hiddenSize: read.size("hidden_size"),
    intermediateSize: own.intermediateSize ?? read.size("intermediate_size"),
    layers,
    ...heads,
    ...(own.layerKinds ? { layerKinds: own.layerKinds, maxPositions } : kindsOf(read, defaults, layers, heads.headDim, maxPositions)),
    norm: "rms",
    normEps: read.positive(epsKey, eps),
    activation,
    ...plainTraits,
    attentionScale: 1 / Math.sqrt(heads.headDim),
    tieWordEmbeddings: read.flag("tie_word_embeddings", defaults.tied ?? false),
    bosId: read.ids("bos_token_id")[0],
    eosIds: [...new Set(read.ids("eos_token_id"))],
    padId: read.ids("pad_token_id")[0],
    initializerRange: typeof initializerRange === "number" ? initializerRange : 0.02,
    ...own,
  };
}

/** The one rotary embedding of a family's layers. */
function ropeOfAll(read: Fields, defaults: RopeDefaults, headDim: number, maxPositions: number): Rope {
  const { ropeTheta: theta, ropeParameters: parameters, rotaryShare: share, rotaryInterleaved: interleaved = false } = defaults;
  return readRope(read, { maxPositions, headDim, theta, parameters, share, interleaved });
}

/** The rotary embedding of a config in the spellings of transformers 4 and 5, of a family that has one for all layers. */
export const spellOneRope =
  (defaults: RopeDefaults) =>
  (read: Fields): Json => {
    const headDim = headSize(read, usualSize(defaults));
    return spellRope(ropeOfAll(read, defaults, headDim, read.size("max_position_embeddings", defaults.maxPositions)));
  };

/** What each layer rotates and sees, where one rotary embedding serves all layers, and the positions that there are. */
function kindsOf(read: Fields, defaults: DecoderDefaults, layers: number, headDim: number, positions: number) {
  const rope = ropeOfAll(read, defaults, headDim, positions);
  const maxPositions = Math.min(positions, rope.reach);
  return { layerKinds: layerKinds(windowsOf(read, defaults.windows, layers, maxPositions), rope.rotary), maxPositions };
}

/** Layers with these windows, all rotated in one way. */
export const layerKinds = (windows: readonly (number | undefined)[], rotary: Rotary | undefined): LayerKind[] =>
  windows.map((window) => ({ window, rotary }));

/** The activation of a name of transformers; undefined if there is none. */
export const activationNamed = (name: string): Activation | undefined => (Object.hasOwn(activations, name) ? activations[name] : undefined);

function activationOf(read: Fields, defaults: DecoderDefaults): Activation {
  const [key, value] = defaults.activation ?? ["hidden_act", "silu"];
  const name = read.text(key, value);
  const supported = defaults.activations ?? ["silu"];
  const activation = activationNamed(name);
  if (activation && supported.includes(activation)) return activation;
  const names = Object.keys(activations).filter((one) => supported.includes(activations[one] as Activation));
  throw read.refused(key, names.join(", "), name);
}

function headsOf(read: Fields, defaults: DecoderDefaults): Pick<ModelConfig, "heads" | "kvHeads" | "headDim"> {
  const heads = read.size("num_attention_heads");
  const { kvHeads: usual = heads } = defaults;
  const kvHeads = read.size("num_key_value_heads", read.has("num_key_value_heads") || usual === "heads" ? heads : usual);
  if (heads % kvHeads !== 0) throw read.refused("num_key_value_heads", `a divisor of num_attention_heads (${heads})`, kvHeads);
  if (usual === "heads" && kvHeads !== heads) throw read.refused("num_key_value_heads", `num_attention_heads (${heads})`);
  const headDim = headSize(read, usualSize(defaults));
  const width = read.size("hidden_size");
  if (defaults.headDim === "even" && headDim * heads !== width)
    throw read.refused("head_dim", `hidden_size by num_attention_heads (${width / heads})`);
  return { heads, kvHeads, headDim };
}

/** Head size that the family takes where a config names none, if it is not that of the width. */
const usualSize = ({ headDim }: RopeDefaults): number | undefined => (headDim === "even" ? undefined : headDim);
