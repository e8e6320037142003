import { decoderConfig } from "../config/decoder-config.js";
import type { Architecture } from "./architecture.js";
import { mistral } from "./mistral.js";

/** Ministral: a Mistral whose config may say of each layer whether it sees a window. */
export const ministral: Architecture = {
  ...mistral,
  className: "Ministral",
  models: "Ministral 8B with windows by layer",
  keys: { agreeing: {}, unread: ["attention_bias", "max_window_layers"] },
  parse(read) {
    const windows = { sizeByDefault: 4096, slides: () => true, typed: true };
    return decoderConfig(read, { maxPositions: ministral.maxPositions, kvHeads: 8, windows, mlpBias: false });
  },
};
