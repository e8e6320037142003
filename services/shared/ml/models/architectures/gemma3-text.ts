import type { Fields } from "../config/fields.js";
import { type RopesByKind, ropesByKind, spellRopes } from "../config/ropes-by-kind.js";
import { slidesByPattern, slidingLayers, type Windows, windowsOf } from "../config/windows.js";
import type { Architecture } from "./architecture.js";
import { gemmaConfig, gemmaDefaults } from "./gemma.js";
import { gemma2, gemmaActivation, laterGemmaKeys, readSoftCap, scoreScale } from "./gemma2.js";

const maxPositions = 131072;

/** Every sixth layer sees all. */
const windows: Windows = { sizeByDefault: 4096, slides: slidesByPattern(6), typed: true };

/** Gemma 3 (2025), the language model: a Gemma 2 with norms of heads for its caps, and a rotary embedding of its own where layers slide. */
export const gemma3Text: Architecture = {
  ...gemma2,
  className: "Gemma3",
  models: "Gemma 3 270M and 1B",
  keys: laterGemmaKeys(["_sliding_window_pattern", "rope_local_base_freq", "sliding_window_pattern"]),
  parse(read) {
    const { full, sliding } = ropesOf(read);
    const layers = read.size("num_hidden_layers");
    const slides = slidingLayers(read, windows, layers);
    const positions = read.size("max_position_embeddings", maxPositions);
    const reach = Math.min(positions, ...slides.map((slide) => (slide ? sliding : full).reach));
    const seen = windowsOf(read, windows, layers, reach);
    return gemmaConfig(
      read,
      { ...gemmaDefaults, maxPositions, kvHeads: 4, windows, activation: gemmaActivation },
      {
        layerKinds: slides.map((slide, layer) => ({ window: seen[layer], rotary: (slide ? sliding : full).rotary })),
        maxPositions: reach,
        qkNorm: "head",
        attentionScale: scoreScale(read),
        logitSoftCap: readSoftCap(read, "final_logit_softcapping", undefined),
      },
    );
  },
  spell(read) {
    const ropes = ropesOf(read);
    return { ...spellRopes(ropes), rope_local_base_freq: ropes.sliding.rotary.theta };
  },
};

/** Layers that slide have a base of their own: rope_local_base_freq, as transformers 4 calls it. */
const ropesOf = (read: Fields): RopesByKind =>
  ropesByKind(read, {
    context: { maxPositions: read.size("max_position_embeddings", maxPositions), headDim: read.size("head_dim", gemmaDefaults.headDim) },
    full: read.positive("rope_theta", 1e6),
    sliding: read.positive("rope_local_base_freq", 1e4),
  });
