import { found } from "../../../base/found.js";
import { arrayOver, bytesOf, isInFile } from "../../graph/file-tensor.js";
import type { Graph, Value } from "../../graph/graph.js";
import { float16Bits } from "../../graph/round.js";
import { sizeOf, type Tensor } from "../../graph/tensor.js";
import { factorSpecs } from "../../models/adapter/layers.js";
import type { ModelConfig } from "../../models/config/model-config.js";
import { type Constants, float32Pieces, inMemory, type Weight } from "../../models/constants.js";
import type { FusedWeights } from "../../models/forward/fused-pass.js";
import { fusedRows, type Part, packedProjection } from "../../models/forward/fused-projections.js";
import type { LowRank } from "../../models/graph-weights.js";
import { attentionsOf } from "../../models/hidden-states.js";
import { factorNames, type Lora, loraScale } from "../../models/lora.js";
import { paramSpecs } from "../../models/model-params.js";
import type { CacheDtype } from "../cache-dtype.js";

/** Name of a layer's queries, keys and values as one projection, among a graph's inputs. */
const packedName = (part: Part, layer: number): string => `burst.qkv.${part}.${layer}`;

/** Weights as inputs of a graph, in its element type: each when it is asked for, so that a graph has those alone that it reads. */
export class BurstWeights implements FusedWeights {
  readonly #graph: Graph;
  readonly #config: ModelConfig;
  readonly #lora: Lora | undefined;
  readonly #dtype: CacheDtype;
  readonly #dims: ReadonlyMap<string, readonly number[]>;
  readonly #values = new Map<string, Value>();

  constructor(graph: Graph, config: ModelConfig, lora: Lora | undefined, dtype: CacheDtype) {
    this.#dtype = dtype;
    this.#graph = graph;
    this.#config = config;
    this.#lora = lora;
    const factors = lora ? factorSpecs(config, lora) : [];
    this.#dims = new Map([...paramSpecs(config), ...factors].map(({ name, dims }) => [name, dims]));
  }

  weight(name: string): Value {
    return found(this.optional(name), `the weight ${name}`);
  }

  optional(name: string): Value | undefined {
    const dims = this.#dims.get(name);
    return dims && this.#input(name, dims);
  }

  lowRank(name: string): LowRank | undefined {
    const names = factorNames(name);
    const [a, b] = [this.optional(names.a), this.optional(names.b)];
    return this.#lora && a && b && { a, b, scale: loraScale(this.#lora) };
  }

  /** A layer's queries, keys and values as one projection [(H + 2G)·E, D], or its bias. */
  readonly packed = (part: Part, layer: number): Value => {
    const rows = fusedRows(this.#config);
    return this.#input(packedName(part, layer), part === "weight" ? [rows, this.#config.hiddenSize] : [rows]);
  };

  #input(name: string, dims: readonly number[]): Value {
    const value = this.#values.get(name) ?? this.#graph.input(name, this.#dtype, dims);
    this.#values.set(name, value);
    return value;
  }
}

/** The weights, by the names of a graph's inputs, in its element type: one after the other, so that they are never in memory together. */
export function* burstWeights(
  names: readonly string[],
  config: ModelConfig,
  weights: Constants,
  factors: Constants,
  dtype: CacheDtype,
): Generator<readonly [name: string, tensor: Tensor]> {
  const packed = new Map(
    attentionsOf(config).flatMap((attention) =>
      (["weight", "bias"] as const).map((part) => [packedName(part, attention.layer), { attention, part }] as const),
    ),
  );
  for (const name of names) {
    const own = weights.get(name) ?? factors.get(name);
    const layer = packed.get(name);
    if (own) yield [name, made(own, dtype)];
    else if (layer) yield [name, made(packedProjection(config, weights, layer.attention, layer.part), dtype)];
  }
}

/** A weight in an element type: as it lies, or converted. */
function made(weight: Weight, dtype: CacheDtype): Tensor {
  if (isInFile(weight) && weight.dtype === "float16" && dtype === "float16")
    return { dtype, dims: weight.dims, data: arrayOver("float16", bytesOf(weight)) };
  if (dtype === "float32") return inMemory(weight);
  const data = new Uint16Array(sizeOf(weight.dims));
  let at = 0;
  for (const piece of float32Pieces(weight)) {
    float16Bits(piece, data.subarray(at, at + piece.length));
    at += piece.length;
  }
  return { dtype, dims: weight.dims, data };
}
