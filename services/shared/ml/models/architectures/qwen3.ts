import { decoderConfig } from "../config/decoder-config.js";
import { spellOneRope } from "../config/rope.js";
import { switchedWindows } from "../config/windows.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";

/** Qwen3: a Llama with a norm over each head of queries and keys. */
export const qwen3: Architecture = {
  ...llama,
  className: "Qwen3",
  models: "Qwen 3",
  keys: { agreeing: { qk_layernorm: [true], qk_norm: [true], use_qk_norm: [true] }, denying: /^(use_)?qk_(layer)?norm$/ },
  maxPositions: 32768,
  spell: spellOneRope({ maxPositions: 32768, headDim: 128 }),
  parse(read) {
    const bias = read.flag("attention_bias");
    const defaults = { maxPositions: qwen3.maxPositions, headDim: 128, kvHeads: 32, windows: switchedWindows, mlpBias: false } as const;
    return decoderConfig(read, defaults, { qkvBias: bias, outputBias: bias, qkNorm: "head" });
  },
};
