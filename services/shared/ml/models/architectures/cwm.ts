import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";

/** What CWM's class takes where a config says nothing of the rotary embedding. */
const ropeParameters = {
  rope_type: "llama3",
  rope_theta: 1e6,
  factor: 16,
  high_freq_factor: 4,
  low_freq_factor: 1,
  original_max_position_embeddings: 8192,
};

const defaults: DecoderDefaults = {
  maxPositions: 131072,
  headDim: 128,
  kvHeads: 8,
  windows: { sizeByDefault: 8192, slides: (layer) => layer % 4 !== 0, typed: true, needed: true },
  normEps: ["rms_norm_eps", 1e-5],
  ropeTheta: ropeParameters.rope_theta,
  ropeParameters,
};

/** Code World Model: a Llama of which one layer in four sees all of the text before it, and the others a window. */
export const cwm: Architecture = {
  ...llama,
  className: "Cwm",
  models: "Code World Model",
  keys: { agreeing: {}, unread: ["attention_bias"] },
  // The base is read in rope_parameters alone, where there are any.
  fresh: ({ rope_theta = ropeParameters.rope_theta, ...others }) => ({ ...others, rope_parameters: { ...ropeParameters, rope_theta } }),
  spell: spellOneRope(defaults),
  parse: (read) => decoderConfig(read, defaults, { mlpBias: read.flag("mlp_bias") }),
};
