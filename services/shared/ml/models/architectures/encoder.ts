import { found } from "../../../base/found.js";
import type { Value } from "../../graph/graph.js";
import type { EncoderDecoder } from "../config/encoder-decoder.js";
import type { ModelConfig } from "../config/model-config.js";
import type { CrossAttention } from "../forward/cross-attention.js";
import type { Pass, Residual } from "../forward/pass.js";
import type { RelativeBias } from "../forward/relative-bias.js";
import type { SelfAttention } from "../forward/self-attention.js";

/** The part of an encoder-decoder that reads the prompt, and how its decoder attends to what it has read. */
export interface EncoderPart {
  /** Most tokens of a prompt and its completion together. */
  readonly maxPositions: number;
  /** The attention of a layer of the encoder, of every token of the prompt to all of them. */
  readonly attention: (config: ModelConfig, layer: number) => SelfAttention;
  /** One layer of the encoder: what it adds to the residual stream. */
  readonly block: (pass: Pass, x: Residual, attention: SelfAttention) => void;
  /** The states of the prompt behind the last layer, as the decoder reads them: [B, P, D]. */
  readonly finish: (x: Residual) => Value;
  /** Position biases of the encoder's attention. */
  readonly bias: (config: ModelConfig) => RelativeBias;
  /** Position biases of the decoder's attention to itself. */
  readonly decoderBias: (config: ModelConfig) => RelativeBias;
  /** How a layer of the decoder attends to the prompt. */
  readonly cross: (layer: number) => CrossAttention;
}

/** What an encoder-decoder has beside a decoder's config. @throws Internal for a decoder's */
export const encoderDecoderOf = ({ encoderDecoder }: ModelConfig): EncoderDecoder => found(encoderDecoder, "the config of an encoder");
