import { decoderConfig } from "../config/decoder-config.js";
import { spellOneRope } from "../config/rope.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";

/** Mistral (Jiang et al. 2023): a Llama whose layers may all see a window of the text before them alone. */
export const mistral: Architecture = {
  ...llama,
  className: "Mistral",
  models: "Mistral 7B, Nemo, Small 1 to 3, Ministral 8B, Zephyr",
  keys: { agreeing: {}, unread: ["attention_bias", "layer_types", "max_window_layers"] },
  maxPositions: 4096 * 32,
  spell: spellOneRope({ maxPositions: 4096 * 32 }),
  parse(read) {
    const windows = { sizeByDefault: 4096, slides: () => true };
    return decoderConfig(read, { maxPositions: mistral.maxPositions, kvHeads: 8, windows, mlpBias: false });
  },
};
