import { float32, type Tensor, transposed } from "../../graph/tensor.js";
import type { ModelConfig } from "../config/model-config.js";
import { graphWeights } from "../graph-weights.js";
import { factorNames, type Lora, loraScale } from "../lora.js";
import type { Model } from "../model.js";
import { paramSpecs } from "../model-params.js";
import { type Weights, weightOf } from "../param-spec.js";
import type { Trainable } from "../trainable.js";
import { factorSpecs, linearLayers } from "./layers.js";

/** The factors of an adapter are trained and published; the model's own weights are read and stay as they are. */
export const lowRank = (config: ModelConfig, lora: Lora): Trainable => ({
  specs: factorSpecs(config, lora),
  frozen: paramSpecs(config),
  weights: (params) => graphWeights(params, lora),
  merged: (trained, frozen) => mergedWeights(config, frozen, lora, trained),
  published: "adapter",
});

/** The model whose weights are those of the base and its adapter together; the model itself if it has no adapter. */
export function mergedModel({ adapter, ...model }: Model): Model {
  return adapter ? { ...model, params: mergedWeights(model.config, model.params, adapter.lora, adapter.factors) } : model;
}

/** Weights with W + scale · B A in the place of every W that is adapted, computed in float64 and rounded; the others are the same arrays. */
function mergedWeights(config: ModelConfig, weights: Weights, lora: Lora, factors: Weights): Weights {
  const merged = new Map(weights);
  const linear = linearLayers(config);
  for (const layer of lora.layers) {
    const names = factorNames(layer);
    const [a, b] = [weightOf(factors, names.a), weightOf(factors, names.b)];
    const name = `${layer}.weight`;
    // A weight [in, out] is a transposed one: it gets (B A)ᵀ = Aᵀ Bᵀ.
    const [left, right] = linear.get(layer)?.linear === "inOut" ? [transposed(a), transposed(b)] : [b, a];
    merged.set(name, sumOf(weightOf(weights, name), left, right, loraScale(lora)));
  }
  return merged;
}

/** W + scale · L R of W [M, N], L [M, r], R [r, N]. */
function sumOf(w: Tensor<"float32">, left: Tensor<"float32">, right: Tensor<"float32">, scale: number): Tensor<"float32"> {
  const [rank, width] = right.dims as [number, number];
  const data = new Float32Array(w.data.length);
  const row = new Float64Array(width);
  for (let start = 0, at = 0; start < data.length; start += width) {
    row.set(w.data.subarray(start, start + width));
    for (let k = 0; k < rank; k++) {
      const factor = scale * (left.data[at++] as number);
      const from = k * width;
      for (let j = 0; j < width; j++) row[j] = (row[j] as number) + factor * (right.data[from + j] as number);
    }
    data.set(row, start);
  }
  return float32(data, w.dims);
}
