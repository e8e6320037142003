// Dimensions: B batch, P positions of the prompt, H heads, E head size.
import type { Value } from "../../graph/graph.js";

/** A decoder layer's attention to the prompt, by the names of its linears. */
export interface CrossAttention {
  readonly layer: number;
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly output: string;
  /** What q·k is multiplied with. */
  readonly scale: number;
}

/** Prompts as the layers of a decoder attend to them. They stay the same through a whole completion. */
export interface EncodedPrompts {
  /** Per layer keys and values, [B, H, P, E] each. */
  readonly layers: readonly { readonly k: Value; readonly v: Value }[];
  /** 0 where there is a token, else the masked score. */
  readonly mask_B11P: Value;
}
