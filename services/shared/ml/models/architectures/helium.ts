import { decoderConfig } from "../config/decoder-config.js";
import { spellOneRope } from "../config/rope.js";
import { noWindows } from "../config/windows.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";

/** Helium: a Llama that rotates pairs of neighbours. */
export const helium: Architecture = {
  ...llama,
  className: "Helium",
  models: "Helium 1",
  maxPositions: 4096,
  spell: spellOneRope({ maxPositions: 4096, headDim: 128, theta: 1e5 }),
  parse(read) {
    const normEps = ["rms_norm_eps", 1e-8] as const;
    const rope = { ropeTheta: 1e5, rotaryInterleaved: true };
    return decoderConfig(
      read,
      { maxPositions: helium.maxPositions, headDim: 128, kvHeads: 20, windows: noWindows, normEps, ...rope },
      { qkvBias: read.flag("attention_bias"), mlpBias: read.flag("mlp_bias") },
    );
  },
};
