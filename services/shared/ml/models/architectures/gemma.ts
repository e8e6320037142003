import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import type { Fields } from "../config/fields.js";
import type { ModelConfig } from "../config/model-config.js";
import { noWindows } from "../config/windows.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";

/** What the classes of all generations take for keys that a config leaves out, but for a context of their own in the third. */
export const gemmaDefaults = {
  maxPositions: 8192,
  headDim: 256,
  tied: true,
  mlpBias: false,
  activations: ["gelu", "geluTanh"],
} as const satisfies Partial<DecoderDefaults>;

/** Gemma (2024): a Llama with scaled embeddings, norms of 1 + weight and a gate of GELU. */
export const gemma: Architecture = {
  ...llama,
  className: "Gemma",
  models: "Gemma 1, CodeGemma",
  keys: { agreeing: { hidden_activation: ["gelu", "gelu_pytorch_tanh"] }, read: ["use_bidirectional_attention"] },
  parse(read) {
    // Its class takes the first releases' "gelu" for what they meant.
    const named = read.get("hidden_act") === "gelu" ? read.replaced({ ...read.raw, hidden_act: "gelu_pytorch_tanh" }) : read;
    const activation = ["hidden_act", "gelu_pytorch_tanh"] as const;
    return gemmaConfig(named, { ...gemmaDefaults, kvHeads: 16, windows: noWindows, activation });
  },
  spell: spellOneRope(gemmaDefaults),
  initial: (spec: ParamSpec, config: ModelConfig) => (spec.kind === "norm" ? 0 : llama.initial(spec, config)),
};

/** What every generation of Gemma has. */
export function gemmaConfig(read: Fields, defaults: DecoderDefaults, own: Partial<ModelConfig> = {}): ModelConfig {
  if (read.flag("use_bidirectional_attention"))
    throw read.refused(
      "use_bidirectional_attention",
      "false (a model whose tokens see what follows them is an encoder, and writes no text; take one that was made as a language model)",
    );
  const bias = read.flag("attention_bias");
  const shared = {
    norm: "rmsPlusOne",
    qkvBias: bias,
    outputBias: bias,
    // Rounded as the peers round it.
    embeddingScale: Math.fround(Math.sqrt(read.size("hidden_size"))),
  } as const;
  return decoderConfig(read, defaults, { ...shared, ...own });
}
