import type { Fields } from "../config/fields.js";
import type { KeyMeanings } from "../config/keys.js";
import type { ModelConfig } from "../config/model-config.js";
import { gatedFeedForward } from "../forward/feed-forward.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { gemma, gemmaConfig, gemmaDefaults } from "./gemma.js";
import { attentionParams, embeddingOf, finalNorm, gatedParams, layerName, layersOf, norm } from "./params.js";

/** What keys mean from the second generation on. @param read those that one generation alone reads */
export const laterGemmaKeys = (read: readonly string[]): KeyMeanings => ({
  agreeing: { hidden_act: ["gelu", "gelu_pytorch_tanh"] },
  unread: ["hidden_act"],
  read: [...["final_logit_softcapping", "hidden_activation", "query_pre_attn_scalar", "use_bidirectional_attention"], ...read],
});

/** Gemma 2 (2024): norms around each part, soft caps on scores and logits, and a window on every other layer. */
export const gemma2: Architecture = {
  ...gemma,
  className: "Gemma2",
  models: "Gemma 2",
  keys: laterGemmaKeys(["attn_logit_softcapping"]),
  parse(read) {
    const windows = { sizeByDefault: 4096, slides: (layer: number) => layer % 2 === 0, typed: true };
    const defaults = { ...gemmaDefaults, kvHeads: 4, windows, activation: gemmaActivation };
    return gemmaConfig(read, defaults, {
      attentionScale: scoreScale(read),
      attentionSoftCap: readSoftCap(read, "attn_logit_softcapping", 50),
      logitSoftCap: readSoftCap(read, "final_logit_softcapping", 30),
    });
  },
  params: (config) => [embeddingOf(gemma2, config), ...layersOf(config, gemma2Layer), finalNorm("model.norm", config)],
  /** x += norm(O·attention(norm(x))); x += norm(down·(gelu(gate·n) ∘ up·n)) with n = norm(x) */
  block(pass, x, attention) {
    const name = layerName(attention.layer);
    const attended = pass.attention(attention, x.norm(`${name}.input_layernorm`));
    x.add(pass.norm(`${name}.post_attention_layernorm`, attended));
    const fed = gatedFeedForward(pass, `${name}.mlp`, x.norm(`${name}.pre_feedforward_layernorm`));
    x.add(pass.norm(`${name}.post_feedforward_layernorm`, fed));
  },
};

/** The key of the activation from the second generation on; `hidden_act`, which some configs hold too, is not read. */
export const gemmaActivation = ["hidden_activation", "gelu_pytorch_tanh"] as const;

/** What scores are multiplied with. */
export const scoreScale = (read: Fields): number => 1 / Math.sqrt(read.positive("query_pre_attn_scalar", 256));

/** A soft cap; null is none. */
export function readSoftCap(read: Fields, field: string, byDefault: number | undefined): number | undefined {
  const cap = read.has(field) ? read.get(field) : byDefault;
  return cap === undefined ? undefined : read.positive(field, cap as number);
}

function gemma2Layer(config: ModelConfig, name: string): ParamSpec[] {
  return [
    ...norm(`${name}.input_layernorm`, config.hiddenSize),
    ...attentionParams(config, `${name}.self_attn`),
    ...norm(`${name}.post_attention_layernorm`, config.hiddenSize),
    ...norm(`${name}.pre_feedforward_layernorm`, config.hiddenSize),
    ...gatedParams(config, `${name}.mlp`),
    ...norm(`${name}.post_feedforward_layernorm`, config.hiddenSize),
  ];
}
