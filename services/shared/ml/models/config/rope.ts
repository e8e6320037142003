import { type Fields, isObject, type Json } from "./fields.js";

/** Rotary scaling as in Hugging Face's rope_scaling / rope_parameters. */
export type RopeScaling =
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositions: number;
    }
  | {
      readonly type: "yarn";
      readonly factor: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly originalMaxPositions: number;
      /** Whether the ramp's ends are whole channels. */
      readonly truncate: boolean;
    }
  /** One divisor per pair of channels. */
  | { readonly type: "longrope"; readonly factors: readonly number[] };

/** A rotary embedding (Su et al. 2021): which channels of a head are rotated by a position, and how fast. */
export interface Rotary {
  readonly theta: number;
  readonly scaling: RopeScaling | undefined;
  /** The first channels of each head, this many, are rotated. */
  readonly dims: number;
  /** Pairs are neighbours (GPT-J's form), not a channel of each half. */
  readonly interleaved: boolean;
  /** What cosines and sines are multiplied with, as YaRN and LongRoPE do. */
  readonly magnitude: number;
}

/** The rotary embedding of a config.json. */
export interface Rope {
  readonly rotary: Rotary;
  /** Positions that it serves in one and the same way, at most. */
  readonly reach: number;
  /** The scaling in Hugging Face's words: `rope_type` and what belongs to it. */
  readonly spelled: Json;
}

/** What of a model a rotary embedding depends on. */
export interface RopeContext {
  readonly maxPositions: number;
  readonly headDim: number;
  /** Base that the family's class takes where a config names none; 10,000 if absent. */
  readonly theta?: number | undefined;
  /** Share of each head that is rotated, where a config names none; if absent the family rotates all, and refuses another share. */
  readonly share?: number | undefined;
  readonly interleaved?: boolean;
  /** `rope_parameters` that the family's class takes where a config has none. */
  readonly parameters?: Json | undefined;
}

const supported = "default, linear, dynamic, llama3, yarn, longrope";

/**
 * The rotary embedding of a config.json as transformers 5 resolves it: a `rope_scaling` that says anything stands for the
 * whole of `rope_parameters`; its base is its own `rope_theta`, else the config's, else the family's; `rope_type` goes before
 * `type`; and original_max_position_embeddings of the config goes before that of the scaling.
 *
 * @throws InvalidArgument naming the field, its value and the way out
 */
export function readRope(read: Fields, context: RopeContext): Rope {
  const rope = says(read, "rope_scaling") ? read.within("rope_scaling") : read.within("rope_parameters", context.parameters);
  const nested = Object.keys(rope.raw).find((key) => isObject(rope.raw[key]));
  if (nested !== undefined)
    throw rope.refused(nested, "one rotary embedding for all layers; rope_parameters by layer type belong to families with mixed layers");
  return ropeOf(rope, read, context);
}

/**
 * The rotary embedding that an object says.
 *
 * @param rope rope_parameters, or one of its parts
 * @param read the config around it
 */
export function ropeOf(rope: Fields, read: Fields, context: RopeContext): Rope {
  const { maxPositions, headDim } = context;
  const dims = Math.floor(headDim * shareOf(rope, read, context.share));
  if (dims % 2 !== 0 || dims === 0)
    throw rope.error(
      dims === headDim
        ? `a head has ${headDim} channels, which are rotated in pairs; an even number is needed (head_dim, or hidden_size by num_attention_heads)`
        : `partial_rotary_factor rotates ${dims} of ${headDim} channels; an even number is needed`,
    );
  const fallback = context.theta ?? 10000;
  const theta = "rope_theta" in rope.raw ? rope.positive("rope_theta", Number.NaN) : read.positive("rope_theta", fallback);
  const type = "rope_type" in rope.raw ? rope.text("rope_type") : rope.text("type", "default");
  const { scaling, magnitude = 1, reach = maxPositions } = scalingOf(type, rope, read, { maxPositions, pairs: dims / 2 });
  const { type: _, rope_theta, ...others } = rope.raw;
  const original = scaling && "originalMaxPositions" in scaling ? { original_max_position_embeddings: scaling.originalMaxPositions } : {};
  const share = dims === headDim ? {} : { partial_rotary_factor: dims / headDim };
  const spelled = { ...others, rope_type: type, ...original, ...share };
  return { rotary: { theta, scaling, dims, interleaved: context.interleaved ?? false, magnitude }, reach, spelled };
}

/** Share of each head that is rotated. */
function shareOf(rope: Fields, read: Fields, byDefault: number | undefined): number {
  for (const one of [rope, read]) {
    const share = one.get("partial_rotary_factor") ?? 1;
    if (byDefault === undefined && share !== 1) throw one.refused("partial_rotary_factor", "1 (all of each head is rotated)");
    if (typeof share !== "number" || !(share > 0 && share <= 1)) throw one.refused("partial_rotary_factor", "a number above 0, at most 1");
  }
  return (rope.get("partial_rotary_factor") ?? read.get("partial_rotary_factor") ?? byDefault ?? 1) as number;
}

/** Python's truth of an object: whether it has any key. */
const says = (read: Fields, field: string): boolean => Object.keys(read.within(field).raw).length > 0;

interface Scaled {
  readonly scaling?: RopeScaling;
  readonly magnitude?: number;
  readonly reach?: number;
}

function scalingOf(type: string, rope: Fields, read: Fields, { maxPositions, pairs }: { maxPositions: number; pairs: number }): Scaled {
  // Dynamic scaling begins beyond max_position_embeddings, which no sequence of a run exceeds.
  if (type === "default" || type === "dynamic") return {};
  if (type === "linear") return { scaling: { type, factor: rope.positive("factor") } };
  const outer = "original_max_position_embeddings" in read.raw ? read : rope;
  const originalMaxPositions = outer.positive("original_max_position_embeddings", maxPositions);
  if (type === "llama3") {
    const [lowFreqFactor, highFreqFactor] = [rope.positive("low_freq_factor"), rope.positive("high_freq_factor")];
    return { scaling: { type, factor: rope.positive("factor"), lowFreqFactor, highFreqFactor, originalMaxPositions } };
  }
  if (type === "yarn") {
    const factor = rope.positive("factor", maxPositions / originalMaxPositions);
    const [betaFast, betaSlow] = [rope.positive("beta_fast", 32), rope.positive("beta_slow", 1)];
    const scaling = { type, factor, betaFast, betaSlow, originalMaxPositions, truncate: rope.flag("truncate", true) } as const;
    return { scaling, magnitude: yarnMagnitude(rope, factor) };
  }
  if (type === "longrope" || (type === "su" && !("rope_type" in rope.raw))) {
    const [factors] = [rope.numbers("short_factor", pairs), rope.numbers("long_factor", pairs)];
    const factor = rope.positive("factor", maxPositions / originalMaxPositions);
    const magnitude = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalMaxPositions));
    // Beyond these positions another set of factors applies to the whole text, its beginning included.
    return { scaling: { type: "longrope", factors }, magnitude: rope.positive("attention_factor", magnitude), reach: originalMaxPositions };
  }
  throw rope.refused("rope_type" in rope.raw ? "rope_type" : "type", supported);
}

/** YaRN's attention factor (Peng et al. 2023), as transformers infers it. */
function yarnMagnitude(rope: Fields, factor: number): number {
  const scaled = (mscale: number) => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1);
  const [mscale, all] = [rope.get("mscale"), rope.get("mscale_all_dim")];
  const inferred = mscale && all ? scaled(rope.positive("mscale")) / scaled(rope.positive("mscale_all_dim")) : scaled(1);
  return rope.positive("attention_factor", inferred);
}

/** The size of a head: that of the config, else the family's, else (or where the config says null) the width by the heads. */
export function headSize(read: Fields, byDefault: number | undefined): number {
  const share = read.size("hidden_size") / read.size("num_attention_heads");
  return read.size("head_dim", read.has("head_dim") ? share : (byDefault ?? share));
}

/** A rotary embedding in both of its spellings, so that transformers 4 and 5 and vLLM read the same. */
export function spellRope({ rotary: { theta }, spelled }: Rope): Json {
  const scaling = spelled.rope_type === "default" ? null : spelled;
  return { rope_theta: theta, rope_scaling: scaling, rope_parameters: { ...spelled, rope_theta: theta } };
}
