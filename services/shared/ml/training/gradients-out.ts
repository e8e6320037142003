import { addedTo } from "../autodiff/sum.js";
import type { Graph, Value } from "../graph/graph.js";
import type { ParamSpec } from "../models/param-spec.js";

/** What a graph does with the gradient of a parameter, which it gives as the output `next:g:NAME`. */
export type GradientOut = (graph: Graph, spec: ParamSpec, gradient: Value) => Value;

/** It is given as it is. */
export const plain: GradientOut = (_, __, gradient) => gradient;

/** It is added to the input `g:NAME`. */
export const accumulated: GradientOut = (graph, { name, dims }, gradient) => addedTo(graph.input(`g:${name}`, "float32", dims), gradient);

/** Declares gradients, in the order of their parameters, as outputs. */
export function declareGradients(graph: Graph, specs: readonly ParamSpec[], gradients: readonly Value[]): void {
  for (const [i, { name }] of specs.entries()) graph.output(`next:g:${name}`, gradients[i] as Value);
}
