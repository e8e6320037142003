import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";

const defaults: DecoderDefaults = {
  maxPositions: 4096 * 32,
  kvHeads: 8,
  windows: { sizeByDefault: 4096, slides: () => true },
  mlpBias: false,
};

/** Mistral (Jiang et al. 2023): a Llama whose layers may all see a window of the text before them alone. */
export const mistral: Architecture = {
  ...llama,
  className: "Mistral",
  models: "Mistral 7B, Nemo, Small 1 to 3, Ministral 8B, Zephyr",
  keys: { agreeing: {}, unread: ["attention_bias", "layer_types", "max_window_layers"] },
  spell: spellOneRope(defaults),
  parse: (read) => decoderConfig(read, defaults),
};
