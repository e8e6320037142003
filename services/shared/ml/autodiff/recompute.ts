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

/** What may lie between the product of queries and keys and the softmax over it: the mask, a soft cap, shapes, a change of precision. */
const onScores: ReadonlySet<string> = new Set(["Add", "Cast", "Div", "Mul", "Reshape", "Tanh"]);

/** What may lie between the softmax and the product of its probabilities with the values. */
const onProbabilities: ReadonlySet<string> = new Set(["Cast", "Reshape"]);

const products: ReadonlySet<string> = new Set(["FusedMatMul", "MatMul"]);

/**
 * What is cheap of a stage and large, computed again in the backward pass from what is kept for it anyway (selective recomputation,
 * Korthikanti et al. 2022): products of elements, activations, norms, and the probabilities of attention. So of a gated layer's four wide
 * arrays two are kept, of its norms only what they read, and of attention queries and keys, but nothing of the square of a sequence's length.
 */
export class SelectiveCopies {
  readonly #copies = new Map<string, Value>();
  readonly #repeated: ReadonlySet<Node>;

  constructor({ input, start, end }: Stage) {
    const nodes = input.graph.nodes.slice(start, end);
    const light = nodes.filter(({ op, outputs }) => onePass.has(op) && (outputs[0]?.rank ?? 0) >= 2);
    this.#repeated = new Set([...light, ...attentionOf(nodes)]);
  }

  /** A node that reads the copies, and has them as its results. @param gradient of what it made: copies are computed after that one */
  reading(node: Node, gradient: Value): Node {
    const inputs = node.inputs.map((value) => value && this.#again(value, gradient));
    return { ...node, inputs, outputs: node.outputs.map((value) => this.#copies.get(value.name) ?? value) };
  }

  #again(value: Value, gradient: Value): Value {
    const { name, producer } = value;
    if (!producer || !this.#repeated.has(producer)) return value;
    const known = this.#copies.get(name);
    if (known) return known;
    const { op, domain, attributes, outputs } = producer;
    const [first, ...others] = producer.inputs.map((input) => input && this.#again(input, gradient));
    // What is a copy waits already.
    const waiting = first === producer.inputs[0] ? after(first as Value, [gradient]) : first;
    const [copy] = value.graph.node(op, [waiting, ...others], outputs, attributes, domain);
    this.#copies.set(name, copy as Value);
    return copy as Value;
  }
}

/** The nodes that make attention's probabilities of queries and keys, as the values' product reads them. */
function attentionOf(nodes: readonly Node[]): Set<Node> {
  const inStage = new Set(nodes);
  const found = new Set(nodes.filter(({ op }) => op === "Softmax").flatMap((node) => scoresOf(node, inStage)));
  for (const node of nodes) {
    const made = node.inputs[0]?.producer;
    if (onProbabilities.has(node.op) && made && found.has(made)) found.add(node);
  }
  return found;
}

/** A softmax and the nodes from the product of two computed values on to it; none if it is over something else. */
function scoresOf(softmax: Node, inStage: ReadonlySet<Node>): Node[] {
  const path = [softmax];
  for (let node = softmax.inputs[0]?.producer; node && inStage.has(node); node = node.inputs[0]?.producer) {
    path.push(node);
    if (products.has(node.op)) return node.inputs.every((input) => input?.producer) ? path : [];
    if (!onScores.has(node.op)) break;
  }
  return [];
}
