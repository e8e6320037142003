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
    };

/** Base and scaling of the rotary frequencies. */
export interface Rope {
  readonly theta: number;
  readonly scaling: RopeScaling | undefined;
  /** The scaling in Hugging Face's words: `rope_type` and what belongs to it. */
  readonly spelled: Json;
}

const supported = "default, linear, dynamic, llama3";

/**
 * The rotary embedding of a config.json as transformers 5 resolves it: a `rope_scaling` that says anything stands for the
 * whole of `rope_parameters`; its base is its own `rope_theta`, else the config's, else 10,000; `rope_type` goes before
 * `type`; and original_max_position_embeddings of the config goes before that of the scaling.
 *
 * @throws InvalidArgument naming the field, its value and the way out
 */
export function readRope(read: Fields, maxPositions: number): Rope {
  const rope = read.within(says(read, "rope_scaling") ? "rope_scaling" : "rope_parameters");
  const nested = Object.keys(rope.raw).find((key) => isObject(rope.raw[key]));
  if (nested !== undefined)
    throw rope.refused(nested, "one rotary embedding for all layers; rope_parameters by layer type belong to families with mixed layers");
  for (const one of [rope, read])
    if ((one.get("partial_rotary_factor") ?? 1) !== 1) throw one.refused("partial_rotary_factor", "1 (all of each head is rotated)");
  const theta = "rope_theta" in rope.raw ? rope.positive("rope_theta", Number.NaN) : read.positive("rope_theta", 10000);
  const type = "rope_type" in rope.raw ? rope.text("rope_type") : rope.text("type", "default");
  const scaling = scalingOf(type, rope, read, maxPositions);
  const { type: _, rope_theta, partial_rotary_factor, ...others } = rope.raw;
  const original = scaling?.type === "llama3" ? { original_max_position_embeddings: scaling.originalMaxPositions } : {};
  return { theta, scaling, spelled: { ...others, rope_type: type, ...original } };
}

/** Python's truth of an object: whether it has any key. */
const says = (read: Fields, field: string): boolean => Object.keys(read.within(field).raw).length > 0;

function scalingOf(type: string, rope: Fields, read: Fields, maxPositions: number): RopeScaling | undefined {
  // Dynamic scaling begins beyond max_position_embeddings, which no sequence of a run exceeds.
  if (type === "default" || type === "dynamic") return undefined;
  if (type === "linear") return { type, factor: rope.positive("factor") };
  if (type === "llama3") {
    const outer = "original_max_position_embeddings" in read.raw ? read : rope;
    return {
      type,
      factor: rope.positive("factor"),
      lowFreqFactor: rope.positive("low_freq_factor"),
      highFreqFactor: rope.positive("high_freq_factor"),
      originalMaxPositions: outer.positive("original_max_position_embeddings", maxPositions),
    };
  }
  const field = "rope_type" in rope.raw ? "rope_type" : "type";
  if (type === "yarn" || type === "longrope" || type === "su")
    throw rope.refused(
      field,
      `${supported}; a model that was published without ${type} (Qwen2.5, Qwen3) does without it again: remove rope_scaling and rope_parameters' ${type} from a copy of the directory, with max_position_embeddings as it was before`,
    );
  throw rope.refused(field, supported);
}

/** A rotary embedding in both of its spellings, so that transformers 4 and 5 and vLLM read the same. */
export function spellRope({ theta, spelled }: Rope): Json {
  const scaling = spelled.rope_type === "default" ? null : spelled;
  return { rope_theta: theta, rope_scaling: scaling, rope_parameters: { ...spelled, rope_theta: theta } };
}
