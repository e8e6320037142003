import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import type { Graph, Value } from "../graph/graph.js";
import type { Constants } from "./constants.js";
import { factorNames, type Lora, loraScale } from "./lora.js";
import type { ParamSpec } from "./param-spec.js";

/** What an adapter adds to a linear layer: scale · B (A x). */
export interface LowRank {
  /** A [r, in] */
  readonly a: Value;
  /** B [out, r] */
  readonly b: Value;
  readonly scale: number;
}

/** A model's weights as values of a graph, by its own names: what a forward pass reads, wherever they come from. */
export interface GraphWeights {
  /** @throws Internal naming a weight that the graph does without */
  weight(name: string): Value;
  /** Undefined for a weight that the model does without, such as a bias. */
  optional(name: string): Value | undefined;
  /** What an adapter adds to the linear layer of this name; undefined where there is none. */
  lowRank(name: string): LowRank | undefined;
}

/** Values of a graph by the names of weights. */
export type Params = ReadonlyMap<string, Value>;

/** Weights that are values of a graph as they are, and the factors of an adapter among them. */
export function graphWeights(params: Params, lora?: Lora): GraphWeights {
  return {
    optional: (name) => params.get(name),
    lowRank(name) {
      const names = factorNames(name);
      const [a, b] = [params.get(names.a), params.get(names.b)];
      return lora && a && b && { a, b, scale: loraScale(lora) };
    },
    weight(name) {
      const value = params.get(name);
      if (!value) throw new RetortError("Internal", `the graph has no weight ${name}; it has ${[...params.keys()].join(", ")}`);
      return value;
    },
  };
}

/** Declares weights in a graph: as inputs that every run feeds, or as constants with the given values. */
export function declareWeights(graph: Graph, specs: readonly ParamSpec[], as: "inputs" | Constants): Params {
  return new Map(
    specs.map(({ name, dims }) => {
      if (as === "inputs") return [name, graph.input(name, "float32", dims)];
      return [name, graph.initializer(name, found(as.get(name), `weight ${name}`))];
    }),
  );
}
