import { RetortError } from "../../../../base/errors.js";
import { type GgufFamily, usualParts } from "./family.js";
import { gemma, gemma2, gemma3 } from "./gemma.js";

const llama: GgufFamily = {
  modelType: "llama",
  className: "LlamaForCausalLM",
  interleaved: true,
  normsPlusOne: false,
  parts: usualParts,
  config: (_own, _sizes, has) => ({
    hidden_act: "silu",
    attention_bias: has("blk.0.attn_q.bias") || has("blk.0.attn_output.bias"),
    mlp_bias: has("blk.0.ffn_gate.bias"),
  }),
};

const qwen2: GgufFamily = {
  ...llama,
  modelType: "qwen2",
  className: "Qwen2ForCausalLM",
  interleaved: false,
  config: () => ({ hidden_act: "silu", use_sliding_window: false }),
};

const qwen3: GgufFamily = {
  ...qwen2,
  modelType: "qwen3",
  className: "Qwen3ForCausalLM",
  parts: { ...usualParts, attn_q_norm: "self_attn.q_norm", attn_k_norm: "self_attn.k_norm" },
  config: (_own, _sizes, has) => ({ hidden_act: "silu", use_sliding_window: false, attention_bias: has("blk.0.attn_q.bias") }),
};

/** The families that are read, by `general.architecture`. */
export const ggufFamilies: Readonly<Record<string, GgufFamily>> = { gemma, gemma2, gemma3, llama, qwen2, qwen3 };

/** The family of an architecture's name. @throws InvalidArgument naming the file and what is supported */
export function familyOf(architecture: string, path: string): GgufFamily {
  const family = Object.hasOwn(ggufFamilies, architecture) ? ggufFamilies[architecture] : undefined;
  if (family) return family;
  throw new RetortError(
    "InvalidArgument",
    `${path}: general.architecture is ${JSON.stringify(architecture)}; supported: ${Object.keys(ggufFamilies).join(", ")}; choose a model of one of these`,
    { fieldPath: "general.architecture" },
  );
}
