import { type Fields, isObject, type Json } from "./fields.js";
import { type Rope, type RopeContext, ropeOf } from "./rope.js";

/** The rotary embeddings of a family whose layers slide or see all. */
export interface RopesByKind {
  /** Of layers that see all. */
  readonly full: Rope;
  readonly sliding: Rope;
}

/** What of a model both rotary embeddings depend on, and the base of each where `rope_parameters` has none. */
export interface RopesContext {
  readonly context: Pick<RopeContext, "headDim" | "maxPositions">;
  readonly full: number;
  readonly sliding: number;
}

/**
 * The rotary embeddings of layers that see all and of those that slide: `rope_parameters` by layer type, as transformers 5
 * writes them, or `rope_scaling`, as transformers 4 does, which is that of the former alone.
 *
 * @throws InvalidArgument naming the field, its value and the way out
 */
export function ropesByKind(read: Fields, { context, full, sliding }: RopesContext): RopesByKind {
  const parameters = read.within("rope_parameters");
  for (const [key, value] of Object.entries(parameters.raw))
    if (!["full_attention", "sliding_attention"].includes(key) || !(isObject(value) || value === null))
      throw parameters.refused(key, "full_attention and sliding_attention, each with a rotary embedding of its own");
  const scaling = read.within("rope_scaling");
  if ("type" in scaling.raw && !("rope_type" in scaling.raw))
    throw scaling.refused("rope_type", "the kind of scaling (its older name, type, is not read in this family; say rope_type)");
  const own = parameters.within("full_attention");
  const scaled = Object.keys(scaling.raw).length > 0 ? scaling.replaced({ ...own.raw, ...scaling.raw }) : own;
  /** What stands around both: its base is each one's own. */
  const { partial_rotary_factor } = read.raw;
  const around = read.replaced({ partial_rotary_factor });
  return {
    full: ropeOf(scaled, around, { ...context, theta: full }),
    sliding: ropeOf(parameters.within("sliding_attention"), around, { ...context, theta: sliding }),
  };
}

/** Both in the spellings of transformers 4 and 5. */
export const spellRopes = ({ full, sliding }: RopesByKind): Json => ({
  rope_theta: full.rotary.theta,
  rope_scaling: full.spelled.rope_type === "default" ? null : full.spelled,
  rope_parameters: { full_attention: withTheta(full), sliding_attention: withTheta(sliding) },
});

const withTheta = ({ rotary: { theta }, spelled }: Rope): Json => ({ ...spelled, rope_theta: theta });
