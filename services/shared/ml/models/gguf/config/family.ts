import type { Json } from "../../config/fields.js";
import type { GgufFields } from "../header/fields.js";

/** Sizes that every decoder has. */
export interface Sizes {
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** The parts of a layer that every family has: Hugging Face's names by those of GGUF. */
export const usualParts = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

/** A family of models in GGUF files: how it becomes a Hugging Face directory. */
export interface GgufFamily {
  /** Hugging Face's `model_type`, and the class in `architectures`. */
  readonly modelType: string;
  readonly className: string;
  /** Whether the rows of queries and keys lie interleaved in each head. */
  readonly interleaved: boolean;
  /** Whether norms are stored with 1 added. */
  readonly normsPlusOne: boolean;
  /** Hugging Face's names of the parts of a layer, by those of GGUF. */
  readonly parts: Readonly<Record<string, string>>;
  /**
   * Keys of config.json that only this family has.
   *
   * @param own the metadata below the architecture's name
   * @param has whether the file has a tensor
   */
  readonly config: (own: GgufFields, sizes: Sizes, has: (tensor: string) => boolean) => Json;
}
