import type { Value } from "./graph.js";

/** A stretch of a graph's nodes, as those of a layer, through which one value flows: from `input` to `output`. */
export interface Stage {
  /** Index of its first node in the graph. */
  readonly start: number;
  /** Index behind its last node. */
  readonly end: number;
  readonly input: Value;
  readonly output: Value;
}

/** Notes the nodes that `build` makes of what flows; without a list it only builds. */
export function noteStage(stages: Stage[] | undefined, flow: { readonly read: () => Value }, build: () => void): void {
  if (!stages) {
    build();
    return;
  }
  const input = flow.read();
  const start = input.graph.nodes.length;
  build();
  stages.push({ start, end: input.graph.nodes.length, input, output: flow.read() });
}
