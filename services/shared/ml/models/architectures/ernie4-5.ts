import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import { noWindows } from "../config/windows.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";

const defaults: DecoderDefaults = {
  maxPositions: 131072,
  headDim: 128,
  kvHeads: 2,
  windows: noWindows,
  normEps: ["rms_norm_eps", 1e-5],
  tied: true,
  ropeTheta: 5e5,
  rotaryInterleaved: true,
  mlpBias: false,
};

/** ERNIE 4.5 without experts: a Llama that rotates pairs of neighbours, with biases everywhere or nowhere. */
export const ernie45: Architecture = {
  ...llama,
  className: "Ernie4_5",
  models: "ERNIE 4.5 0.3B",
  keys: { agreeing: {}, read: ["use_bias"], unread: ["attention_bias"] },
  spell: spellOneRope(defaults),
  parse(read) {
    const bias = read.flag("use_bias");
    return decoderConfig(read, defaults, { qkvBias: bias, outputBias: bias, mlpBias: bias });
  },
};
