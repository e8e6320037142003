import { isHalf } from "./file-tensor.js";
import { type Graph, type Node, Value } from "./graph.js";
import { dtypeInfo } from "./tensor.js";

/** Operators that move numbers and compute none: the CPU has them in half precision. */
const movers: ReadonlySet<string> = new Set([
  ...["Cast", "Concat", "Expand", "Flatten", "Gather", "GatherElements", "Identity", "Reshape", "ScatterElements", "Shape"],
  ...["Slice", "Split", "Squeeze", "StopGradient", "Transpose", "Unsqueeze"],
]);

/**
 * Lets what a graph computes in half precision be computed on the CPU: each operator in float32, of the same numbers, with its result
 * rounded, as a GPU does it. The CPU provider has next to nothing in bfloat16, and what it hasn't in float16 it computes in float32
 * from operator to operator, without rounding between them. Bodies of loops are changed, too.
 *
 * @returns the same graph
 */
export function halfOnCpu(graph: Graph): Graph {
  graph.nodes.splice(0, graph.nodes.length, ...graph.nodes.flatMap((node) => inFloat32(graph, node)));
  return graph;
}

function inFloat32(graph: Graph, node: Node): Node[] {
  for (const attribute of Object.values(node.attributes)) if (typeof attribute === "object" && "nodes" in attribute) halfOnCpu(attribute);
  if (movers.has(node.op) || ![...node.inputs, ...node.outputs].some((value) => value && isHalf(value.dtype))) return [node];
  const before: Node[] = [];
  const after: Node[] = [];
  const inputs = node.inputs.map((value) => {
    if (!value || !isHalf(value.dtype)) return value;
    const wide = widened(graph, value);
    before.push(cast(value, wide));
    return wide;
  });
  const outputs = node.outputs.map((value) => {
    if (!isHalf(value.dtype)) return value;
    const wide = widened(graph, value);
    after.push(cast(wide, value));
    return wide;
  });
  return [...before, { ...node, inputs, outputs }, ...after];
}

const widened = (graph: Graph, { shape }: Value): Value => new Value(graph, graph.fresh("wide"), "float32", shape);

const cast = (from: Value, to: Value): Node => ({
  ...{ op: "Cast", domain: "", inputs: [from], outputs: [to] },
  attributes: { to: dtypeInfo[to.dtype].code },
});
