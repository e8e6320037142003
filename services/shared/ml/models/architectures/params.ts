import type { ModelConfig } from "../config/model-config.js";
import type { LinearLayout, ParamSpec } from "../param-spec.js";

/** A layer's name in most families. */
export const layerName = (layer: number): string => `model.layers.${layer}`;

/** A linear's weight [out, in], or [in, out] as GPT-2 lays it, and its bias [out]. */
export function linear(name: string, out: number, input: number, bias: boolean, layout: LinearLayout = "outIn"): ParamSpec[] {
  const dims = layout === "outIn" ? [out, input] : [input, out];
  const weight: ParamSpec = { name: `${name}.weight`, dims, kind: "matrix", linear: layout };
  return bias ? [weight, { name: `${name}.bias`, dims: [out], kind: "bias" }] : [weight];
}

/** A norm's weight [size] and, for a LayerNorm that has one, its bias. */
export function norm(name: string, size: number, bias = false): ParamSpec[] {
  const weight: ParamSpec = { name: `${name}.weight`, dims: [size], kind: "norm" };
  return bias ? [weight, { name: `${name}.bias`, dims: [size], kind: "bias" }] : [weight];
}

/** The embedding [V, D]. */
export const embeddingOf = ({ embedding }: { readonly embedding: string }, { vocabSize, hiddenSize }: ModelConfig): ParamSpec => ({
  name: embedding,
  dims: [vocabSize, hiddenSize],
  kind: "matrix",
});

/** The norm behind the last layer. */
export const finalNorm = (name: string, { hiddenSize }: ModelConfig): ParamSpec => ({
  name: `${name}.weight`,
  dims: [hiddenSize],
  kind: "norm",
});

/** The weights of every layer, in order. */
export const layersOf = (config: ModelConfig, of: (config: ModelConfig, name: string) => ParamSpec[], name = layerName): ParamSpec[] =>
  Array.from({ length: config.layers }, (_, layer) => of(config, name(layer))).flat();

/** The weights of an attention with three projections, as {@link selfAttention} names them. */
export function attentionParams(config: ModelConfig, name: string): ParamSpec[] {
  const { hiddenSize: d, heads, kvHeads, headDim, qkvBias, qkNorm } = config;
  const normSize = { head: [headDim, headDim], whole: [heads * headDim, kvHeads * headDim], eachHead: [0, 0] };
  const [qNorm, kNorm] = qkNorm ? normSize[qkNorm] : [0, 0];
  const eachHead = (part: string, count: number): ParamSpec => ({ name: `${name}.${part}.weight`, dims: [count, headDim], kind: "norm" });
  const norms =
    qkNorm === "eachHead"
      ? [eachHead("q_norm", heads), eachHead("k_norm", kvHeads)]
      : [...norm(`${name}.q_norm`, qNorm ?? 0), ...norm(`${name}.k_norm`, kNorm ?? 0)];
  return [
    ...linear(`${name}.q_proj`, heads * headDim, d, qkvBias),
    ...linear(`${name}.k_proj`, kvHeads * headDim, d, qkvBias),
    ...linear(`${name}.v_proj`, kvHeads * headDim, d, qkvBias),
    ...(qkNorm ? norms : []),
    ...linear(`${name}.o_proj`, d, heads * headDim, config.outputBias),
  ];
}

/** The weights of a feed-forward part without a gate, as it is named here. */
export const plainParams = (
  { hiddenSize: d, intermediateSize: f, mlpBias }: Pick<ModelConfig, "hiddenSize" | "intermediateSize" | "mlpBias">,
  [up, down]: readonly [up: string, down: string],
  layout?: "outIn" | "inOut",
): ParamSpec[] => [...linear(up, f, d, mlpBias, layout), ...linear(down, d, f, mlpBias, layout)];

/** The weights of a gated feed-forward part. */
export function gatedParams({ hiddenSize: d, intermediateSize: f, mlpBias }: ModelConfig, name: string): ParamSpec[] {
  return [
    ...linear(`${name}.gate_proj`, f, d, mlpBias),
    ...linear(`${name}.up_proj`, f, d, mlpBias),
    ...linear(`${name}.down_proj`, d, f, mlpBias),
  ];
}
