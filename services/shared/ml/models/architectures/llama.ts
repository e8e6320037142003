import type { Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { decoderConfig, plainTraits } from "../config/decoder-config.js";
import type { ModelConfig } from "../config/model-config.js";
import type { Pass } from "../forward/pass.js";
import type { ParamSpec } from "../param-spec.js";
import type { Architecture } from "./architecture.js";
import { decoderInputs } from "./sequence-inputs.js";

const embedding = "model.embed_tokens.weight";

const layerName = (layer: number) => `model.layers.${layer}`;

/** Llama (Touvron et al. 2023), and what is built like it: pre-norm blocks of attention and a gated feed-forward part. */
export const llama: Architecture = {
  className: "Llama",
  keys: { agreeing: {} },
  maxPositions: 2048,
  embedding,
  head: "lm_head.weight",
  parse(read) {
    const bias = read.flag("attention_bias");
    const traits = { ...plainTraits, qkvBias: bias, outputBias: bias, mlpBias: read.flag("mlp_bias") };
    return decoderConfig(read, { maxPositions: llama.maxPositions, windows: "asWritten" }, traits);
  },
  params: llamaParams,
  initial: ({ kind }) => ({ bias: 0, head: "normal" as const, matrix: "normal" as const, norm: 1 })[kind],
  inputs: decoderInputs,
  embed: (pass, ids_BT) => pass.embed(embedding, ids_BT),
  attention: ({ qkvBias, qkNorm }, layer) => ({ layer, name: `${layerName(layer)}.self_attn`, qkvBias, qkNorm }),
  /** x += O·attention(norm(x)); x += down·(silu(gate·n) ∘ up·n) with n = norm(x) */
  block(pass, x, attention) {
    const name = layerName(attention.layer);
    x.add(pass.attention(attention, x.rmsNorm(`${name}.input_layernorm`)));
    x.add(gatedFeedForward(pass, `${name}.mlp`, x.rmsNorm(`${name}.post_attention_layernorm`)));
  },
  finish: (x) => x.rmsNorm("model.norm"),
};

/** down·(silu(gate·x) ∘ up·x) */
function gatedFeedForward(pass: Pass, name: string, x: Value): Value {
  const gate_BTF = op.silu(pass.linear(`${name}.gate_proj`, x));
  return pass.linear(`${name}.down_proj`, op.mul(gate_BTF, pass.linear(`${name}.up_proj`, x)));
}

function llamaParams(config: ModelConfig): ParamSpec[] {
  const { hiddenSize: d, vocabSize } = config;
  return [
    { name: embedding, dims: [vocabSize, d], kind: "matrix" },
    ...Array.from({ length: config.layers }, (_, layer) => layerParams(config, layerName(layer))).flat(),
    { name: "model.norm.weight", dims: [d], kind: "norm" },
  ];
}

function layerParams(config: ModelConfig, name: string): ParamSpec[] {
  const { hiddenSize: d, intermediateSize: f, heads, kvHeads, headDim } = config;
  const norm = (part: string, size: number): ParamSpec => ({ name: `${name}.${part}.weight`, dims: [size], kind: "norm" });
  const projection = (part: string, out: number, input: number, bias: boolean): ParamSpec[] => [
    { name: `${name}.${part}_proj.weight`, dims: [out, input], kind: "matrix" },
    ...(bias ? [{ name: `${name}.${part}_proj.bias`, dims: [out], kind: "bias" as const }] : []),
  ];
  return [
    norm("input_layernorm", d),
    ...projection("self_attn.q", heads * headDim, d, config.qkvBias),
    ...projection("self_attn.k", kvHeads * headDim, d, config.qkvBias),
    ...projection("self_attn.v", kvHeads * headDim, d, config.qkvBias),
    ...(config.qkNorm ? [norm("self_attn.q_norm", headDim), norm("self_attn.k_norm", headDim)] : []),
    ...projection("self_attn.o", d, heads * headDim, config.outputBias),
    norm("post_attention_layernorm", d),
    ...projection("mlp.gate", f, d, config.mlpBias),
    ...projection("mlp.up", f, d, config.mlpBias),
    ...projection("mlp.down", d, f, config.mlpBias),
  ];
}
