import { decoderConfig } from "../config/decoder-config.js";
import { noWindows } from "../config/windows.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";

/** Granite: a Llama whose embedding, attention scores, residuals and logits are multiplied with numbers of the config. */
export const granite: Architecture = {
  ...llama,
  className: "Granite",
  models: "Granite 3",
  keys: { agreeing: {}, read: ["attention_multiplier", "embedding_multiplier", "logits_scaling", "residual_multiplier"] },
  parse(read) {
    const bias = read.flag("attention_bias");
    return decoderConfig(
      read,
      { maxPositions: 2048, windows: noWindows },
      {
        qkvBias: bias,
        outputBias: bias,
        mlpBias: read.flag("mlp_bias"),
        attentionScale: read.positive("attention_multiplier", 1),
        embeddingScale: read.positive("embedding_multiplier", 1),
        logitScale: 1 / read.positive("logits_scaling", 1),
        residualScale: read.positive("residual_multiplier", 1),
      },
    );
  },
};
