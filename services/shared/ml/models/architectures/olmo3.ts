import { decoderConfig } from "../config/decoder-config.js";
import type { Fields } from "../config/fields.js";
import { headSize } from "../config/rope.js";
import { type RopesByKind, ropesByKind, spellRopes } from "../config/ropes-by-kind.js";
import { slidingLayers, type Windows, windowsOf } from "../config/windows.js";
import type { Architecture } from "./architecture.js";
import { olmo2 } from "./olmo2.js";

const [usualPositions, theta] = [2048, 5e5];

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
      { maxPositions: usualPositions, windows, normEps: ["rms_norm_eps", 1e-5], mlpBias: false },
      {
        layerKinds: ropes.map(({ rotary }, layer) => ({ window: seen[layer], rotary })),
        maxPositions,
        qkvBias: bias,
        outputBias: bias,
        qkNorm: "whole",
      },
    );
  },
  spell: (read) => spellRopes(ropesOf(read)),
};

/** Layers that slide have the family's base, and no scaling but that of rope_parameters. */
const ropesOf = (read: Fields): RopesByKind =>
  ropesByKind(read, {
    context: { maxPositions: read.size("max_position_embeddings", usualPositions), headDim: headSize(read, undefined) },
    full: read.positive("rope_theta", theta),
    sliding: theta,
  });
