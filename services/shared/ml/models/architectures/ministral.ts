import { type DecoderDefaults, decoderConfig } from "../config/decoder-config.js";
import type { Architecture } from "./architecture.js";
import { mistral } from "./mistral.js";

const defaults: DecoderDefaults = {
  maxPositions: 4096 * 32,
  kvHeads: 8,
  windows: { sizeByDefault: 4096, slides: () => true, typed: true },
  mlpBias: false,
};

/** Ministral: a Mistral whose config may say of each layer whether it sees a window. */
export const ministral: Architecture = {
  ...mistral,
  className: "Ministral",
  models: "Ministral 8B with windows by layer",
  keys: { agreeing: {}, unread: ["attention_bias", "max_window_layers"] },
  parse: (read) => decoderConfig(read, defaults),
};
