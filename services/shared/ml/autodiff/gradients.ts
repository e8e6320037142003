import { graphOf, type Node, type Value } from "../graph/graph.js";
import { sum, zerosLike } from "../graph/ops/index.js";
import { type DifferentiableOp, nonDifferentiableOps, rules } from "./tables.js";

/** A value and dLoss/dvalue, of the value's shape. */
export interface Seed {
  readonly value: Value;
  readonly seed: Value;
}

/**
 * Reverse-mode differentiation: appends to the graph the nodes that compute dLoss/dw for each w in `wrt`, given
 * dLoss/dvalue for the values in `outputs`.
 *
 * Values in `wrt` on which nothing depends get zeros. A loss over several values is the sum of their contributions.
 *
 * @throws if the path crosses an operator without a derivative, naming it
 */
export function gradients(outputs: readonly Seed[], wrt: readonly Value[]): Value[] {
  const graph = graphOf(...outputs.map(({ value }) => value));
  const parts = new Map<string, Value[]>();
  for (const { value, seed } of outputs) collect(parts, value, seed);
  const onPath = dependents(graph.nodes, wrt);
  const targets = new Set(wrt.map(({ name }) => name));
  // A snapshot: the backward nodes are appended to the same list.
  for (const node of [...graph.nodes].reverse()) {
    if (!onPath.has(node)) continue;
    const received = node.outputs.map((output) => total(parts, output, targets));
    if (received.every((gradient) => gradient === undefined)) continue;
    const given = derivative(node)(node, received);
    node.inputs.forEach((input, i) => {
      const gradient = given[i];
      if (input && gradient && isFloat(input)) collect(parts, input, gradient);
    });
  }
  return wrt.map((value) => total(parts, value, new Set()) ?? zerosLike(value));
}

/** Gradients of a scalar loss. */
export function gradientsOf(loss: Value, wrt: readonly Value[]): Value[] {
  return gradients([{ value: loss, seed: loss.graph.scalar(1) }], wrt);
}

function derivative(node: Node): (typeof rules)[DifferentiableOp] {
  if (node.op in rules) return rules[node.op as DifferentiableOp];
  if ((nonDifferentiableOps as readonly string[]).includes(node.op)) return () => [];
  throw new Error(`${node.op} has no derivative: add a rule in autodiff/rules, or stop the gradient before it`);
}

/** The nodes whose result depends on one of the values. */
function dependents(nodes: readonly Node[], wrt: readonly Value[]): Set<Node> {
  const reached = new Set(wrt.map(({ name }) => name));
  const found = new Set<Node>();
  for (const node of nodes) {
    if (!node.inputs.some((input) => input && reached.has(input.name))) continue;
    found.add(node);
    for (const output of node.outputs) reached.add(output.name);
  }
  return found;
}

function collect(parts: Map<string, Value[]>, value: Value, gradient: Value): void {
  const list = parts.get(value.name);
  if (list) list.push(gradient);
  else parts.set(value.name, [gradient]);
}

/** The sum of what was collected for a value; kept for the values in `keep`, else released. */
function total(parts: Map<string, Value[]>, value: Value, keep: ReadonlySet<string>): Value | undefined {
  const list = parts.get(value.name);
  if (!list) return undefined;
  const gradient = list.length === 1 ? list[0]! : sum(list);
  if (keep.has(value.name)) parts.set(value.name, [gradient]);
  else parts.delete(value.name);
  return gradient;
}

const isFloat = (value: Value): boolean => value.dtype === "float32" || value.dtype === "float16" || value.dtype === "float64";
