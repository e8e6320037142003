import { byteLengthOf, isInFile } from "./file-tensor.js";
import { Graph, type Node, type Value } from "./graph.js";
import { liveParts, readsOf } from "./prune.js";

/**
 * A graph as several that are run one after another: each is one node, or reads constants in files of at most `most` bytes. What one
 * makes and a later one reads is an output of the one and an input of the other, by the value's name; outputs of the graph keep theirs.
 */
export function splitGraph(graph: Graph, most: number): Graph[] {
  const groups = groupsOf(graph, liveParts(graph).nodes, most);
  const made = groups.map((nodes) => new Map(nodes.flatMap(({ outputs }) => outputs.map((value) => [value.name, value] as const))));
  const reads = groups.map((nodes) => new Set(nodes.flatMap(readsOf)));
  const isMade = (name: string) => made.some((values) => values.has(name));
  for (const { value } of graph.outputs) if (!isMade(value.name)) reads.at(-1)?.add(value.name);
  const values = new Map<string, Value>(graph.inputs.map((value) => [value.name, value]));
  return groups.map((nodes, i) => {
    const part = new Graph(`${graph.name}.${i}`, graph);
    part.nodes.push(...nodes);
    const own = made[i] ?? new Map<string, Value>();
    for (const name of reads[i] ?? []) {
      const [value, constant] = [values.get(name), graph.initializers.get(name)];
      if (value) part.inputs.push(value);
      else if (constant) part.initializers.set(name, constant);
    }
    for (const [name, value] of own) {
      values.set(name, value);
      if (reads.slice(i + 1).some((later) => later.has(name))) part.outputs.push({ name, value });
    }
    const isLast = i === groups.length - 1;
    part.outputs.push(...graph.outputs.filter(({ value: { name } }) => own.has(name) || (isLast && !isMade(name))));
    return part;
  });
}

/** Nodes in their order, as many together as read constants of at most `most` bytes. */
function groupsOf(graph: Graph, nodes: readonly Node[], most: number): Node[][] {
  const groups: Node[][] = [];
  let read = new Set<string>();
  let bytes = 0;
  for (const node of nodes) {
    const fresh = largeReadsOf(node).filter((name) => !read.has(name));
    const more = fresh.reduce((sum, name) => sum + bytesAt(graph, name), 0);
    const last = groups.at(-1);
    if (last && bytes + more <= most) last.push(node);
    else {
      groups.push([node]);
      [read, bytes] = [new Set(), 0];
    }
    bytes += more;
    for (const name of fresh) read.add(name);
  }
  return groups;
}

/** Names of what a node reads all of: of a table only the rows that are asked for are touched. */
const largeReadsOf = (node: Node): string[] => (node.op === "Gather" ? [] : [...new Set(readsOf(node))]);

function bytesAt(graph: Graph, name: string): number {
  const constant = graph.constantAt(name);
  return constant && isInFile(constant) ? byteLengthOf(constant) : 0;
}
