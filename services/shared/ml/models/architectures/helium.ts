import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import { noWindows } from "../config/windows.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";

const defaults: DecoderDefaults = {
  maxPositions: 4096,
  headDim: 128,
  kvHeads: 20,
  windows: noWindows,
  normEps: ["rms_norm_eps", 1e-8],
  ropeTheta: 1e5,
  rotaryInterleaved: true,
};

/** Helium: a Llama that rotates pairs of neighbours. */
export const helium: Architecture = {
  ...llama,
  className: "Helium",
  models: "Helium 1",
  spell: spellOneRope(defaults),
  parse: (read) => decoderConfig(read, defaults, { qkvBias: read.flag("attention_bias"), mlpBias: read.flag("mlp_bias") }),
};
