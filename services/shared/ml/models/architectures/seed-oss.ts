import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import { noWindows } from "../config/windows.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";

const defaults: DecoderDefaults = { maxPositions: 524288, headDim: 128, kvHeads: 8, windows: noWindows };

/** Seed-OSS: a Llama with biases on queries, keys and values, and a switch of its own for that of the output. */
export const seedOss: Architecture = {
  ...llama,
  className: "SeedOss",
  models: "Seed-OSS",
  keys: { agreeing: {}, read: ["attention_out_bias"] },
  spell: spellOneRope(defaults),
  parse(read) {
    const own = {
      qkvBias: read.flag("attention_bias", true),
      outputBias: read.flag("attention_out_bias"),
      mlpBias: read.flag("mlp_bias"),
    };
    return decoderConfig(read, defaults, own);
  },
};
