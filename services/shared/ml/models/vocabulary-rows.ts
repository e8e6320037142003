// Dimensions: V rows of the vocabulary, C of them that are used, D width.
import { isInFile } from "../graph/file-tensor.js";
import { float32 } from "../graph/tensor.js";
import type { Constants, Weight } from "./constants.js";
import type { Model } from "./model.js";
import { embeddingName, headName } from "./model-params.js";
import { type Weights, weightOf } from "./param-spec.js";

/** The weights that have a row for every id: the embedding, and the head if it is not tied to it. */
const perId = ({ config }: Pick<Model<Constants>, "config">): ReadonlySet<string> => new Set([embeddingName(config), headName(config)]);

/**
 * A model of the first rows of its vocabulary: embedding and head are cut to [C, D], so that every distribution ranges over
 * C ids, renormalised. The model itself if it has no more rows than that, or `rows` is 0.
 */
export function narrowed<W extends Constants>(model: Model<W>, rows: number): Model<W>;
export function narrowed(model: Model<Constants>, rows: number): Model<Constants> {
  const { config, params, rawConfig } = model;
  if (rows === 0 || rows >= config.vocabSize) return model;
  const names = perId(model);
  const cut = (name: string, tensor: Weight) => (names.has(name) ? firstRows(tensor, rows) : tensor);
  return {
    ...model,
    config: { ...config, vocabSize: rows },
    params: new Map([...params].map(([name, tensor]) => [name, cut(name, tensor)])),
    rawConfig: { ...rawConfig, vocab_size: rows },
  };
}

/** The first rows of a tensor [V, D], copied if it is in memory: [C, D]. */
export function firstRows<W extends Weight>(tensor: W, rows: number): W;
export function firstRows(tensor: Weight, rows: number): Weight {
  const width = tensor.dims[1]!;
  if (!isInFile(tensor)) return float32(tensor.data.slice(0, rows * width), [rows, width]);
  return { ...tensor, dims: [rows, width] };
}

/** The rows that {@link narrowed} cuts off, [V − C, D] by name; none if it cuts nothing. */
export function restRows(model: Model, rows: number): Weights {
  const { vocabSize } = model.config;
  if (rows === 0 || rows >= vocabSize) return new Map();
  return new Map(
    [...perId(model)].map((name) => {
      const { dims, data } = weightOf(model.params, name);
      const width = dims[1]!;
      return [name, float32(data.slice(rows * width), [vocabSize - rows, width])] as const;
    }),
  );
}

/** Weights with the rows put back that were cut off: the inverse of {@link narrowed}. */
export function withRows(params: Weights, rest: Weights): Weights {
  if (rest.size === 0) return params;
  const whole = new Map(params);
  for (const [name, tail] of rest) {
    const { dims, data } = weightOf(params, name);
    const joined = new Float32Array(data.length + tail.data.length);
    joined.set(data);
    joined.set(tail.data, data.length);
    whole.set(name, float32(joined, [dims[0]! + tail.dims[0]!, dims[1]!]));
  }
  return whole;
}
