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

/** Operators of one pass, whose derivative reads what they read: what they make needn't be kept. */
const onePass: ReadonlySet<string> = new Set(["LayerNormalization", "Mul", "QuickGelu", "SimplifiedLayerNormalization"]);

/**
 * The products of elements, the activations and the norms of a stage, computed again in the backward pass from what is kept for it anyway:
 * of a gated layer's four wide arrays two are kept, of its norms only what they read.
 */
export class OnePassCopies {
  readonly #copies = new Map<string, Value>();
  readonly #inStage: ReadonlySet<Node>;

  constructor({ input, start, end }: Stage) {
    this.#inStage = new Set(input.graph.nodes.slice(start, end));
  }

  /** A node that reads the copies, and has them as its results. @param gradient of what it made: copies are computed after that one */
  reading(node: Node, gradient: Value): Node {
    const inputs = node.inputs.map((value) => value && this.#again(value, gradient));
    return { ...node, inputs, outputs: node.outputs.map((value) => this.#copies.get(value.name) ?? value) };
  }

  #again(value: Value, gradient: Value): Value {
    const { name, producer, rank } = value;
    if (!producer || rank < 2 || !onePass.has(producer.op) || !this.#inStage.has(producer)) return value;
    const known = this.#copies.get(name);
    if (known) return known;
    const { op, domain, attributes, outputs } = producer;
    const [first, ...others] = producer.inputs.map((input) => input && this.#again(input, gradient));
    const [copy] = value.graph.node(op, [after(first as Value, [gradient]), ...others], outputs, attributes, domain);
    this.#copies.set(name, copy as Value);
    return copy as Value;
  }
}
