import type { Weights } from "./param-spec.js";

/**
 * A low-rank adapter (LoRA; Hu et al. 2021, arXiv 2106.09685) without its numbers: y = W x + scale · B (A x) in some linear
 * layers, with A [r, in] and B [out, r].
 */
export interface Lora {
  /** The rank. */
  readonly r: number;
  /** PEFT's lora_alpha. */
  readonly alpha: number;
  /** Divide alpha by √r instead of r (rsLoRA; Kalajdzievski 2023, arXiv 2312.03732). */
  readonly useRslora: boolean;
  /** The names of the linear layers, as in `model.layers.0.self_attn.q_proj`, in the order of the forward pass. */
  readonly layers: readonly string[];
}

/** A low-rank adapter with its numbers, and the model that it belongs to. */
export interface Adapter {
  readonly lora: Lora;
  /** A and B of every layer, by the names that PEFT gives them: {@link factorNames}. */
  readonly factors: Weights;
  /** Directory of the base model. */
  readonly base: string;
}

/** How an adapter is asked for: PEFT's settings of the same names. */
export interface LoraSettings extends Omit<Lora, "layers"> {
  /** Names of modules, or ends of them; or {@link allLinear} alone. */
  readonly targetModules: readonly string[];
}

/** PEFT's name for every linear layer of the blocks: all but the head. */
export const allLinear = "all-linear";

/** What B (A x) is multiplied by. */
export const loraScale = ({ r, alpha, useRslora }: Lora): number => alpha / (useRslora ? Math.sqrt(r) : r);

/** The names of a layer's factors in a PEFT adapter's file; graphs and checkpoints have them under the same. */
export const factorNames = (layer: string): { readonly a: string; readonly b: string } => ({
  a: `base_model.model.${layer}.lora_A.weight`,
  b: `base_model.model.${layer}.lora_B.weight`,
});
