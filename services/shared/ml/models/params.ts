import type { Graph, Value } from "../graph/graph.js";
import type { Tensor } from "../graph/tensor.js";
import type { ModelConfig } from "./config.js";

/** Weights by their Hugging Face names, in Hugging Face's layout ([out, in] for projections). */
export type Weights = ReadonlyMap<string, Tensor<"float32">>;

/** The weights as values of a graph, by the same names. */
export type Params = ReadonlyMap<string, Value>;

/** Names of the embedding, of a language model's own head and of a classifier's. */
export const embedding = "model.embed_tokens.weight";
export const lmHead = "lm_head.weight";
export const classHead = "score.weight";

export interface ParamSpec {
  readonly name: string;
  readonly dims: readonly number[];
}

/** Name and dimensions of every weight from the embedding to the last norm, in the order of the forward pass. */
export function bodySpecs(config: ModelConfig): ParamSpec[] {
  const { hiddenSize: d, intermediateSize: f, headDim, vocabSize } = config;
  const specs: ParamSpec[] = [{ name: embedding, dims: [vocabSize, d] }];
  for (let layer = 0; layer < config.layers; layer++) {
    const add = (name: string, dims: readonly number[]) => specs.push({ name: `model.layers.${layer}.${name}`, dims });
    add("input_layernorm.weight", [d]);
    for (const [name, heads] of [
      ["q", config.heads],
      ["k", config.kvHeads],
      ["v", config.kvHeads],
    ] as const) {
      add(`self_attn.${name}_proj.weight`, [heads * headDim, d]);
      if (config.qkvBias) add(`self_attn.${name}_proj.bias`, [heads * headDim]);
    }
    if (config.qkNorm) {
      add("self_attn.q_norm.weight", [headDim]);
      add("self_attn.k_norm.weight", [headDim]);
    }
    add("self_attn.o_proj.weight", [d, config.heads * headDim]);
    if (config.outputBias) add("self_attn.o_proj.bias", [d]);
    add("post_attention_layernorm.weight", [d]);
    for (const [name, dims] of [
      ["gate", [f, d]],
      ["up", [f, d]],
      ["down", [d, f]],
    ] as const) {
      add(`mlp.${name}_proj.weight`, dims);
      if (config.mlpBias) add(`mlp.${name}_proj.bias`, [dims[0]]);
    }
  }
  specs.push({ name: "model.norm.weight", dims: [d] });
  return specs;
}

/** Name and dimensions of every weight of a language model, in the order of the forward pass. */
export function paramSpecs(config: ModelConfig): ParamSpec[] {
  const head = { name: lmHead, dims: [config.vocabSize, config.hiddenSize] };
  return [...bodySpecs(config), ...(config.tieWordEmbeddings ? [] : [head])];
}

/** Number of weights of a model. */
export function parameterCount(config: ModelConfig): number {
  return paramSpecs(config).reduce((sum, { dims }) => sum + dims.reduce((a, b) => a * b, 1), 0);
}

/** Declares weights in a graph: as inputs that every run feeds, or as constants with the given values. */
export function declareWeights(graph: Graph, specs: readonly ParamSpec[], as: "inputs" | Weights): Params {
  return new Map(
    specs.map(({ name, dims }) => [name, as === "inputs" ? graph.input(name, "float32", dims) : graph.initializer(name, as.get(name)!)]),
  );
}

/** Declares a language model's weights; see {@link declareWeights}. */
export const declareParams = (graph: Graph, config: ModelConfig, as: "inputs" | Weights): Params =>
  declareWeights(graph, paramSpecs(config), as);

/** The name of the weight that turns hidden states into logits: the embedding itself when they are tied. */
export const headName = (config: ModelConfig): string => (config.tieWordEmbeddings ? embedding : lmHead);
