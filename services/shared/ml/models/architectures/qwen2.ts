import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import { switchedWindows } from "../config/windows.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";

const defaults: DecoderDefaults = { maxPositions: 32768, kvHeads: 32, windows: switchedWindows, mlpBias: false };

/** Qwen2 and Qwen2.5: a Llama with biases on queries, keys and values. */
export const qwen2: Architecture = {
  ...llama,
  className: "Qwen2",
  models: "Qwen 1.5 to 2.5, QwQ, DeepSeek R1 Distill Qwen",
  keys: { agreeing: { add_qkv_bias: [true], attention_bias: [true], qkv_bias: [true] }, denying: /^(add_)?qkv_bias$/ },
  spell: spellOneRope(defaults),
  parse(read) {
    return decoderConfig(read, defaults, { qkvBias: true });
  },
};
