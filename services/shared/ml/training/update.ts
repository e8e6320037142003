import { Graph, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { declareWeights, type ParamSpec, type Params } from "../models/params.js";
import { type AdamWOptions, adamw, clipFactor, decays, globalNorm } from "../optim/adamw.js";

export interface OptimizerOptions extends AdamWOptions {
  /** Global norm that gradients are scaled down to; 0 leaves them. */
  readonly maxGradNorm: number;
}

/** Weights of a graph with their gradients, in the order of the names. */
export interface Gradients {
  readonly params: Params;
  readonly names: readonly string[];
  readonly values: readonly Value[];
}

/** Clipping and AdamW over the gradients: declares the optimiser's inputs and the new state as outputs. */
export function update(graph: Graph, { params, names, values }: Gradients, optimizer: OptimizerOptions): void {
  const scalar = (name: string) => graph.input(name, "float32", []);
  const step = { learningRate: scalar("learningRate"), stepSize: scalar("stepSize"), correction: scalar("correction") };
  const norm = globalNorm(values);
  graph.output("gradientNorm", norm);
  const scale = clipFactor(norm, optimizer.maxGradNorm);
  names.forEach((name, i) => {
    const param = params.get(name)!;
    const state = { param, m: graph.input(`m:${name}`, "float32", param.shape), v: graph.input(`v:${name}`, "float32", param.shape) };
    const next = adamw(state, values[i]!, scale, step, optimizer, decays(name));
    graph.output(`next:${name}`, next.param);
    graph.output(`next:m:${name}`, next.m);
    graph.output(`next:v:${name}`, next.v);
  });
}

/** Declares sums of gradients as inputs `g:NAME`, and as outputs `next:g:NAME` the sums with these gradients added. */
export function accumulate(graph: Graph, { params, names, values }: Gradients): void {
  names.forEach((name, i) => {
    graph.output(`next:g:${name}`, op.add(graph.input(`g:${name}`, "float32", params.get(name)!.shape), values[i]!));
  });
}

/** Applies accumulated gradients, the inputs `g:NAME`. */
export function applyGraph(specs: readonly ParamSpec[], optimizer: OptimizerOptions): Graph {
  const graph = new Graph("apply");
  const params = declareWeights(graph, specs, "inputs");
  const names = [...params.keys()];
  const values = names.map((name) => graph.input(`g:${name}`, "float32", params.get(name)!.shape));
  update(graph, { params, names, values }, optimizer);
  return graph;
}
