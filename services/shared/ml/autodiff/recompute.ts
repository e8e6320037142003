import type { Node, Value } from "../graph/graph.js";
import { after, withShape } from "../graph/ops/index.js";
import type { Stage } from "../graph/stage.js";

/**
 * Copies of a stage's nodes that compute again what they did, from the stage's input, once the gradient of its output is there.
 * So nothing that the stage made in the forward pass is kept for the backward pass.
 *
 * @param gradient of the stage's output; undefined: none flows, and nothing is copied
 * @returns the copy of each node
 */
export function recomputed({ start, end, input }: Stage, gradient: Value | undefined): ReadonlyMap<Node, Node> {
  const copies = new Map<Node, Node>();
  if (!gradient) return copies;
  const { graph } = input;
  const values = new Map([[input.name, after(input, [gradient])]]);
  for (const node of graph.nodes.slice(start, end)) {
    const inputs = node.inputs.map((value) => {
      const copy = value && values.get(value.name);
      return copy ? withShape(copy, value.shape) : value;
    });
    const outputs = graph.node(node.op, inputs, node.outputs, node.attributes, node.domain);
    node.outputs.forEach(({ name }, i) => {
      values.set(name, outputs[i] as Value);
    });
    copies.set(node, { ...node, inputs, outputs });
  }
  return copies;
}
