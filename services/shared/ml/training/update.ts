import { Graph, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import type { ParamSpec } from "../models/param-spec.js";
import { type AdamWOptions, adamw, clipFactor, decays, globalNorm } from "../optim/adamw.js";

/** What an optimiser step does beside AdamW. */
export interface OptimizerOptions extends AdamWOptions {
  /** Global norm that gradients are scaled down to; 0 leaves them. */
  readonly maxGradNorm: number;
}

/** A parameter of a graph with the gradient of the loss, of its shape. */
export interface Gradient {
  readonly spec: ParamSpec;
  readonly param: Value;
  readonly gradient: Value;
}

/** Joins parameters, their values in a graph and the gradients at those, each in the order of the others. */
export const withGradients = (specs: readonly ParamSpec[], params: readonly Value[], gradients: readonly Value[]): Gradient[] =>
  specs.map((spec, i) => ({ spec, param: params[i]!, gradient: gradients[i]! }));

/** Clipping and AdamW over the gradients: declares the optimiser's inputs and the new state as outputs. */
export function update(graph: Graph, gradients: readonly Gradient[], optimizer: OptimizerOptions): void {
  const scalar = (name: string) => graph.input(name, "float32", []);
  const step = { learningRate: scalar("learningRate"), stepSize: scalar("stepSize"), correction: scalar("correction") };
  const norm = globalNorm(gradients.map(({ gradient }) => gradient));
  graph.output("gradientNorm", norm);
  const scale = clipFactor(norm, optimizer.maxGradNorm);
  for (const { spec, param, gradient } of gradients) {
    const { name } = spec;
    const state = { param, m: graph.input(`m:${name}`, "float32", param.shape), v: graph.input(`v:${name}`, "float32", param.shape) };
    const next = adamw(state, gradient, scale, step, optimizer, decays(spec.kind));
    graph.output(`next:${name}`, next.param);
    graph.output(`next:m:${name}`, next.m);
    graph.output(`next:v:${name}`, next.v);
  }
}

/** Declares sums of gradients as inputs `g:NAME`, and as outputs `next:g:NAME` the sums with these gradients added. */
export function accumulate(graph: Graph, gradients: readonly Gradient[]): void {
  for (const { spec, param, gradient } of gradients)
    graph.output(`next:g:${spec.name}`, op.add(graph.input(`g:${spec.name}`, "float32", param.shape), gradient));
}

/** Applies accumulated gradients, the inputs `g:NAME`. */
export function applyGraph(specs: readonly ParamSpec[], optimizer: OptimizerOptions): Graph {
  const graph = new Graph("apply");
  const params = specs.map((spec) => ({ spec, param: graph.input(spec.name, "float32", spec.dims) }));
  const gradients = params.map(({ spec, param }) => ({ spec, param, gradient: graph.input(`g:${spec.name}`, "float32", spec.dims) }));
  update(graph, gradients, optimizer);
  return graph;
}
