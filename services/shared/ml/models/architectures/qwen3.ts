import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import { switchedWindows } from "../config/windows.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";

const defaults: DecoderDefaults = { maxPositions: 32768, headDim: 128, kvHeads: 32, windows: switchedWindows, mlpBias: false };

/** Qwen3: a Llama with a norm over each head of queries and keys. */
export const qwen3: Architecture = {
  ...llama,
  className: "Qwen3",
  models: "Qwen 3",
  keys: { agreeing: { qk_layernorm: [true], qk_norm: [true], use_qk_norm: [true] }, denying: /^(use_)?qk_(layer)?norm$/ },
  spell: spellOneRope(defaults),
  parse(read) {
    const bias = read.flag("attention_bias");
    return decoderConfig(read, defaults, { qkvBias: bias, outputBias: bias, qkNorm: "head" });
  },
};
