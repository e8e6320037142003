import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import { slidingLayers, type Windows } from "../config/windows.js";
import type { Architecture } from "./architecture.js";
import { olmo2 } from "./olmo2.js";

const windows: Windows = {
  sizeByDefault: 4096,
  // The class has no pattern where the config says null.
  slides: (layer, read) => (layer + 1) % read.size("sliding_window_pattern", read.has("sliding_window_pattern") ? Number.NaN : 4) !== 0,
  typed: true,
  needed: true,
};

const defaults: DecoderDefaults = { maxPositions: 2048, kvHeads: 32, windows, normEps: ["rms_norm_eps", 1e-5], mlpBias: false };

/** EXAONE 4: norms after each part and of each head; with a window, the layers that see all do not rotate. */
export const exaone4: Architecture = {
  ...olmo2,
  className: "Exaone4",
  models: "EXAONE 4",
  keys: {
    agreeing: { reorder_and_qk_norm: [true] },
    read: ["sliding_window_pattern"],
    unread: ["attention_bias"],
    denying: /^reorder_and_qk_norm$/,
  },
  spell: spellOneRope(defaults),
  parse(read) {
    const config = decoderConfig(read, defaults, { qkNorm: "head" });
    if (read.has("sliding_window") && read.get("sliding_window") === undefined) return config;
    const slides = slidingLayers(read, windows, config.layers);
    return { ...config, layerKinds: config.layerKinds.map((kind, layer) => (slides[layer] ? kind : { ...kind, rotary: undefined })) };
  },
};
