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
    for (const input of node.inputs) if (input) reads.add(input.name);
    for (const attribute of Object.values(node.attributes)) {
      if (isGraph(attribute)) for (const name of liveParts(attribute).reads) reads.add(name);
    }
  }
  return { nodes: live.reverse(), reads };
}

const isGraph = (attribute: Attribute): attribute is Graph => typeof attribute === "object" && "nodes" in attribute;
