import { RetortError } from "../../base/errors.js";
import { architectureOf } from "./architectures/table.js";
import type { Json } from "./config/fields.js";
import type { ModelConfig } from "./config/model-config.js";
import { parseConfig } from "./parse-config.js";

/** What a model from scratch is asked to be. 0 or undefined: not said. */
export interface FreshModel {
  /** Its family's `model_type`. */
  readonly architecture: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Not said: as many as heads. */
  readonly kvHeads: number;
  /** Not said: the width by the heads. */
  readonly headDim: number;
  /** Not said: 256. */
  readonly maxPositions: number;
  /** Not said: they are tied. */
  readonly tieWordEmbeddings?: boolean;
  /** Not said: the family's. */
  readonly ropeTheta: number;
  /** Not said: 0.02. */
  readonly initializerRange: number;
}

/** A setting of {@link FreshModel} that its family does not have, and what to do. */
export interface FreshProblem {
  readonly field: keyof FreshModel;
  readonly description: string;
}

/** Where a model from scratch doesn't say how many. */
const usualPositions = 256;

/** Positions that a model from scratch has. */
export const freshPositions = (asked: Pick<FreshModel, "architecture" | "maxPositions">): number =>
  architectureOf(asked).encoder?.maxPositions ?? (asked.maxPositions || usualPositions);

/** The config.json of a model from scratch, but for its vocabulary, in its family's own keys; {@link freshProblems} checks it. */
export function freshConfig(asked: FreshModel): Json {
  const { className, headClass = "ForCausalLM", aliases = {}, fresh, keys } = architectureOf(asked);
  const plain = {
    model_type: asked.architecture,
    architectures: [`${className}${headClass}`],
    torch_dtype: "float32",
    hidden_size: asked.hiddenSize,
    intermediate_size: asked.intermediateSize,
    num_hidden_layers: asked.layers,
    num_attention_heads: asked.heads,
    num_key_value_heads: asked.kvHeads || asked.heads,
    head_dim: asked.headDim || asked.hiddenSize / asked.heads,
    max_position_embeddings: asked.maxPositions || usualPositions,
    tie_word_embeddings: asked.tieWordEmbeddings ?? true,
    ...(asked.ropeTheta ? { rope_theta: asked.ropeTheta } : {}),
    initializer_range: asked.initializerRange || 0.02,
    rms_norm_eps: 1e-5,
  };
  const own = fresh ? fresh(plain) : plain;
  return Object.fromEntries(
    Object.entries(own)
      .filter(([key]) => !keys.unread?.includes(key))
      .map(([key, value]) => [aliases[key] ?? key, value]),
  );
}

/** What a model's config says of each setting; undefined: it knows no such setting. */
const settings: Readonly<Record<Exclude<keyof FreshModel, "architecture">, (config: ModelConfig) => unknown>> = {
  hiddenSize: ({ hiddenSize }) => hiddenSize,
  intermediateSize: ({ intermediateSize }) => intermediateSize,
  layers: ({ layers }) => layers,
  heads: ({ heads }) => heads,
  kvHeads: ({ kvHeads }) => kvHeads,
  headDim: ({ headDim }) => headDim,
  maxPositions: ({ encoderDecoder, maxPositions }) => (encoderDecoder ? undefined : maxPositions),
  tieWordEmbeddings: ({ tieWordEmbeddings }) => tieWordEmbeddings,
  ropeTheta: ({ layerKinds }) => layerKinds.find(({ rotary }) => rotary)?.rotary?.theta,
  initializerRange: ({ encoderDecoder, initializerRange }) => (encoderDecoder ? undefined : initializerRange),
};

/** Names of a config.json, as errors of its parser have them, and the settings that they come from. */
const named = {
  hidden_size: "hiddenSize",
  intermediate_size: "intermediateSize",
  num_hidden_layers: "layers",
  num_attention_heads: "heads",
  num_key_value_heads: "kvHeads",
  head_dim: "headDim",
  max_position_embeddings: "maxPositions",
  tie_word_embeddings: "tieWordEmbeddings",
  rope_theta: "ropeTheta",
  initializer_range: "initializerRange",
} as const satisfies Readonly<Record<string, keyof FreshModel>>;

/**
 * What a model from scratch is asked for that its family does not have: the config that would be written is read, as it is when
 * the model begins, and compared with what was asked.
 */
export function freshProblems(asked: FreshModel): FreshProblem[] {
  const { architecture } = asked;
  if (architectureOf(asked).fresh === false)
    return [{ field: "architecture", description: `is ${architecture}, of which no model from scratch can be described; take another` }];
  const read = readFresh(asked);
  if ("field" in read) return [read];
  const { kvHeads, headDim, hiddenSize, heads, tieWordEmbeddings } = asked;
  const meant = {
    ...{ ...asked, kvHeads: kvHeads || heads, headDim: headDim || hiddenSize / heads },
    tieWordEmbeddings: tieWordEmbeddings ?? true,
  };
  return (Object.keys(settings) as (keyof typeof settings)[]).flatMap((field) => {
    const [wanted, found] = [meant[field], settings[field](read)];
    if (wanted === 0 || wanted === found || (field === "ropeTheta" && rotatesBy(read, asked.ropeTheta))) return [];
    const has = found === undefined ? "has no such setting" : `of this size has ${String(found)}, whatever is asked`;
    return [{ field, description: `is ${String(wanted)}, but a ${architecture} ${has}; leave it out` }];
  });
}

const rotatesBy = ({ layerKinds }: ModelConfig, theta: number): boolean => layerKinds.some(({ rotary }) => rotary?.theta === theta);

/** The config as its parser reads it, or what it refuses, in the words of the settings. */
function readFresh(asked: FreshModel): ModelConfig | FreshProblem {
  const file = "student";
  try {
    return parseConfig({ ...freshConfig(asked), vocab_size: 1 }, {}, file);
  } catch (error) {
    const { code, message } = RetortError.from(error);
    if (code !== "InvalidArgument") throw error;
    return worded(message.slice(`${file}: `.length), architectureOf(asked).aliases ?? {});
  }
}

function worded(message: string, aliases: Readonly<Record<string, string>>): FreshProblem {
  const text = Object.entries(named).reduce(
    (all, [key, field]) => all.replaceAll(new RegExp(`\\b(${key}|${aliases[key] ?? key})\\b`, "g"), field),
    message,
  );
  const field = Object.values(named).find((one) => text.startsWith(`${one} `));
  return field ? { field, description: text.slice(field.length + 1) } : { field: "headDim", description: text };
}
