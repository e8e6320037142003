import { type Fields, isObject, type Json } from "../config/fields.js";
import { type Rope, ropeOf } from "../config/rope.js";
import { slidingLayers, type Windows, windowsOf } from "../config/windows.js";
import type { Architecture } from "./architecture.js";
import { gemmaConfig } from "./gemma.js";
import { gemma2, gemmaActivation, scoreScale, softCap } from "./gemma2.js";

const maxPositions = 131072;

/** Every sixth layer sees all. */
const windows: Windows = {
  sizeByDefault: 4096,
  slides: (layer, read) => (layer + 1) % read.size("sliding_window_pattern", 6) !== 0,
  typed: true,
};

/** Gemma 3 (2025), the language model: a Gemma 2 with norms of heads for its caps, and a rotary embedding of its own where layers slide. */
export const gemma3Text: Architecture = {
  ...gemma2,
  className: "Gemma3",
  models: "Gemma 3 270M and 1B",
  keys: {
    agreeing: { hidden_act: ["gelu", "gelu_pytorch_tanh"] },
    unread: ["hidden_act"],
    read: [
      ...["_sliding_window_pattern", "final_logit_softcapping", "hidden_activation", "query_pre_attn_scalar"],
      ...["rope_local_base_freq", "sliding_window_pattern", "use_bidirectional_attention"],
    ],
  },
  maxPositions,
  parse(read) {
    const { full, sliding } = ropesOf(read);
    const layers = read.size("num_hidden_layers");
    const slides = slidingLayers(read, windows, layers);
    const positions = read.size("max_position_embeddings", maxPositions);
    const reach = Math.min(positions, ...slides.map((slide) => (slide ? sliding : full).reach));
    const seen = windowsOf(read, windows, layers, reach);
    return gemmaConfig(
      read,
      { maxPositions, kvHeads: 4, windows, activation: gemmaActivation },
      {
        layerKinds: slides.map((slide, layer) => ({ window: seen[layer], rotary: (slide ? sliding : full).rotary })),
        maxPositions: reach,
        qkNorm: "head",
        attentionScale: scoreScale(read),
        logitSoftCap: softCap(read, "final_logit_softcapping", undefined),
      },
    );
  },
  spell(read) {
    const { full, sliding } = ropesOf(read);
    const spelled = ({ rotary: { theta }, spelled }: Rope): Json => ({ ...spelled, rope_theta: theta });
    return {
      rope_theta: full.rotary.theta,
      rope_local_base_freq: sliding.rotary.theta,
      rope_scaling: full.spelled.rope_type === "default" ? null : full.spelled,
      rope_parameters: { full_attention: spelled(full), sliding_attention: spelled(sliding) },
    };
  },
};

/**
 * The rotary embeddings of layers that see all and of those that slide: rope_parameters by layer type, as transformers 5 writes
 * them, or rope_theta and rope_scaling for the former and rope_local_base_freq for the latter, as transformers 4 does.
 */
function ropesOf(read: Fields): { readonly full: Rope; readonly sliding: Rope } {
  const parameters = read.within("rope_parameters");
  for (const [key, value] of Object.entries(parameters.raw))
    if (!["full_attention", "sliding_attention"].includes(key) || !(isObject(value) || value === null))
      throw parameters.refused(key, "full_attention and sliding_attention, each with a rotary embedding of its own");
  const scaling = read.within("rope_scaling");
  if ("type" in scaling.raw && !("rope_type" in scaling.raw))
    throw scaling.refused("rope_type", `the kind of scaling (its older name, type, is not read in this family; say rope_type)`);
  const own = parameters.within("full_attention");
  const full = Object.keys(scaling.raw).length > 0 ? scaling.replaced({ ...own.raw, ...scaling.raw }) : own;
  const context = {
    maxPositions: read.size("max_position_embeddings", maxPositions),
    headDim: read.size("head_dim", 256),
  };
  /** What stands around both: its base is each one's own. */
  const { partial_rotary_factor } = read.raw;
  const around = read.replaced({ partial_rotary_factor });
  return {
    full: ropeOf(full, around, { ...context, theta: read.positive("rope_theta", 1e6) }),
    sliding: ropeOf(parameters.within("sliding_attention"), around, { ...context, theta: read.positive("rope_local_base_freq", 1e4) }),
  };
}
