import { decoderConfig } from "../config/decoder-config.js";
import { type Fields, isObject, type Json } from "../config/fields.js";
import { headSize, type Rope, ropeOf } from "../config/rope.js";
import { slidingLayers, type Windows, windowsOf } from "../config/windows.js";
import type { Architecture } from "./architecture.js";
import { olmo2 } from "./olmo2.js";

const theta = 5e5;

/** Every fourth layer sees all. */
const windows: Windows = { sizeByDefault: 4096, slides: (layer) => (layer + 1) % 4 !== 0, typed: true, needed: true };

/** OLMo 3: an OLMo 2 most of whose layers see a window; the others may scale their rotary embedding. */
export const olmo3: Architecture = {
  ...olmo2,
  className: "Olmo3",
  models: "OLMo 3",
  parse(read) {
    const { full, sliding } = ropesOf(read);
    const layers = read.size("num_hidden_layers");
    const slides = slidingLayers(read, windows, layers);
    const ropes = slides.map((slide) => (slide ? sliding : full));
    const maxPositions = Math.min(...ropes.map(({ reach }) => reach));
    const seen = windowsOf(read, windows, layers, maxPositions);
    const bias = read.flag("attention_bias");
    return decoderConfig(
      read,
      { maxPositions: olmo3.maxPositions, windows, normEps: ["rms_norm_eps", 1e-5], mlpBias: false },
      {
        layerKinds: ropes.map(({ rotary }, layer) => ({ window: seen[layer], rotary })),
        maxPositions,
        qkvBias: bias,
        outputBias: bias,
        qkNorm: "whole",
      },
    );
  },
  spell(read) {
    const { full, sliding } = ropesOf(read);
    const spelled = ({ rotary, spelled }: Rope): Json => ({ ...spelled, rope_theta: rotary.theta });
    return {
      rope_theta: full.rotary.theta,
      rope_scaling: full.spelled.rope_type === "default" ? null : full.spelled,
      rope_parameters: { full_attention: spelled(full), sliding_attention: spelled(sliding) },
    };
  },
};

/**
 * The rotary embeddings of layers that see all and of those that slide: rope_parameters by layer type, as transformers 5 writes
 * them, or rope_theta and rope_scaling, as transformers 4 does. These are the former's alone: the latter have no scaling, and
 * the family's base.
 */
function ropesOf(read: Fields): { readonly full: Rope; readonly sliding: Rope } {
  const parameters = read.within("rope_parameters");
  for (const [key, value] of Object.entries(parameters.raw))
    if (!["full_attention", "sliding_attention"].includes(key) || !(isObject(value) || value === null))
      throw parameters.refused(key, "full_attention and sliding_attention, each with a rotary embedding of its own");
  const scaling = read.within("rope_scaling");
  if ("type" in scaling.raw && !("rope_type" in scaling.raw))
    throw scaling.refused("rope_type", "the kind of scaling (its older name, type, is not read in this family; say rope_type)");
  const own = parameters.within("full_attention");
  const full = Object.keys(scaling.raw).length > 0 ? scaling.replaced({ ...own.raw, ...scaling.raw }) : own;
  const context = { maxPositions: read.size("max_position_embeddings", olmo2.maxPositions), headDim: headSize(read, undefined) };
  /** What stands around both: its base is each one's own. */
  const { partial_rotary_factor } = read.raw;
  const around = read.replaced({ partial_rotary_factor });
  return {
    full: ropeOf(full, around, { ...context, theta: read.positive("rope_theta", theta) }),
    sliding: ropeOf(parameters.within("sliding_attention"), around, { ...context, theta }),
  };
}
