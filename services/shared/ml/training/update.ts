import type { Graph, Value } from "../graph/graph.js";
import type { Params } from "../models/params.js";
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
