import { decoderConfig } from "../config/decoder-config.js";
import { spellOneRope } from "../config/rope.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";

/** What CWM's class takes where a config says nothing of the rotary embedding. */
const rope = {
  ropeTheta: 1e6,
  ropeParameters: {
    rope_type: "llama3",
    rope_theta: 1e6,
    factor: 16,
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 8192,
  },
};

/** Code World Model: a Llama of which one layer in four sees all of the text before it, and the others a window. */
export const cwm: Architecture = {
  ...llama,
  className: "Cwm",
  models: "Code World Model",
  keys: { agreeing: {}, unread: ["attention_bias"] },
  // The base is read in rope_parameters alone, where there are any.
  fresh: ({ rope_theta = rope.ropeTheta, ...others }) => ({ ...others, rope_parameters: { ...rope.ropeParameters, rope_theta } }),
  maxPositions: 131072,
  spell: spellOneRope({ maxPositions: 131072, headDim: 128, theta: rope.ropeTheta, parameters: rope.ropeParameters }),
  parse(read) {
    const windows = { sizeByDefault: 8192, slides: (layer: number) => layer % 4 !== 0, typed: true, needed: true };
    const normEps = ["rms_norm_eps", 1e-5] as const;
    const defaults = { maxPositions: cwm.maxPositions, headDim: 128, kvHeads: 8, windows, normEps, ...rope };
    return decoderConfig(read, defaults, { mlpBias: read.flag("mlp_bias") });
  },
};
