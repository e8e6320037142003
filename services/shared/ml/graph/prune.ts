import type { Attribute, Graph, Node } from "./graph.js";

/** What of a graph its outputs depend on. */
export interface LiveParts {
  /** In running order. */
  readonly nodes: readonly Node[];
  /** Names of all values that the live nodes, nested graphs included, and the outputs read. */
  readonly reads: ReadonlySet<string>;
}

/**
 * The nodes that an output depends on. Differentiation leaves others behind (gradients of constants), and the runtime
 * would run them.
 */
export function liveParts(graph: Graph): LiveParts {
  const reads = new Set(graph.outputs.map(({ value }) => value.name));
  const live: Node[] = [];
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]!;
    if (!node.outputs.some(({ name }) => reads.has(name))) continue;
    live.push(node);
    for (const name of readsOf(node)) reads.add(name);
  }
  return { nodes: live.reverse(), reads };
}

/** Names of all values that a node reads: its inputs, and what the graphs in its attributes (bodies, branches) read. */
export function readsOf(node: Node): string[] {
  const inputs = node.inputs.flatMap((input) => (input ? [input.name] : []));
  const nested = Object.values(node.attributes).filter(isGraph);
  return [...inputs, ...nested.flatMap((graph) => [...liveParts(graph).reads])];
}

const isGraph = (attribute: Attribute): attribute is Graph => typeof attribute === "object" && "nodes" in attribute;
