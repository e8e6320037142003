import { float32, type Tensor } from "../../graph/tensor.js";
import type { ModelConfig } from "../config/model-config.js";
import { graphWeights } from "../graph-weights.js";
import { factorNames, type Lora, loraScale } from "../lora.js";
import type { Model } from "../model.js";
import { paramSpecs } from "../model-params.js";
import { type Weights, weightOf } from "../param-spec.js";
import type { Trainable } from "../trainable.js";
import { factorSpecs } from "./layers.js";

/** The factors of an adapter are trained and published; the model's own weights are read and stay as they are. */
export const lowRank = (config: ModelConfig, lora: Lora): Trainable => ({
  specs: factorSpecs(config, lora),
  frozen: paramSpecs(config),
  weights: (params) => graphWeights(params, lora),
  merged: (trained, frozen) => mergedWeights(frozen, lora, trained),
  published: "adapter",
});

/** The model whose weights are those of the base and its adapter together; the model itself if it has no adapter. */
export function mergedModel({ adapter, ...model }: Model): Model {
  return adapter ? { ...model, params: mergedWeights(model.params, adapter.lora, adapter.factors) } : model;
}

/** Weights with W + scale · B A in the place of every W that is adapted, computed in float64 and rounded; the others are the same arrays. */
function mergedWeights(weights: Weights, lora: Lora, factors: Weights): Weights {
  const merged = new Map(weights);
  for (const layer of lora.layers) {
    const { a, b } = factorNames(layer);
    const name = `${layer}.weight`;
    merged.set(name, sumOf(weightOf(weights, name), weightOf(factors, a), weightOf(factors, b), loraScale(lora)));
  }
  return merged;
}

/** W + scale · B A of W [out, in], A [r, in], B [out, r]. */
function sumOf(w: Tensor<"float32">, a: Tensor<"float32">, b: Tensor<"float32">, scale: number): Tensor<"float32"> {
  const [rank, width] = a.dims as [number, number];
  const data = new Float32Array(w.data.length);
  const row = new Float64Array(width);
  for (let start = 0, at = 0; start < data.length; start += width) {
    row.set(w.data.subarray(start, start + width));
    for (let k = 0; k < rank; k++) {
      const factor = scale * (b.data[at++] as number);
      const from = k * width;
      for (let j = 0; j < width; j++) row[j] = (row[j] as number) + factor * (a.data[from + j] as number);
    }
    data.set(row, start);
  }
  return float32(data, w.dims);
}
