import type { Graph, Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import type { ParamSpec } from "../models/param-spec.js";

/** A parameter of a graph with the gradient of the loss, of its shape. */
export interface Gradient {
  readonly spec: ParamSpec;
  readonly gradient: Value;
}

/** Joins parameters and the gradients at them, in the same order. */
export const withGradients = (specs: readonly ParamSpec[], gradients: readonly Value[]): Gradient[] =>
  specs.map((spec, i) => ({ spec, gradient: gradients[i]! }));

/** Declares gradients as outputs `next:g:NAME`. */
export function give(graph: Graph, gradients: readonly Gradient[]): void {
  for (const { spec, gradient } of gradients) graph.output(`next:g:${spec.name}`, gradient);
}

/** Declares sums of gradients as inputs `g:NAME`, and as outputs `next:g:NAME` the sums with these gradients added. */
export function accumulate(graph: Graph, gradients: readonly Gradient[]): void {
  for (const { spec, gradient } of gradients)
    graph.output(`next:g:${spec.name}`, op.add(graph.input(`g:${spec.name}`, "float32", spec.dims), gradient));
}
