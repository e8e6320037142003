import { graphOf, type Node, type Value } from "../graph/graph.js";
import { zerosLike } from "../graph/ops/index.js";
import { readsOf } from "../graph/prune.js";
import { refusal } from "./rule.js";
import { sumOf } from "./sum.js";
import { type DifferentiableOp, nonDifferentiableOps, rules } from "./tables.js";

/** What differentiation starts from at one output. */
export interface Seed {
  readonly value: Value;
  /** dLoss/dvalue, of the value's shape and element type. */
  readonly seed: Value;
}

/**
 * Reverse-mode differentiation: appends to the graph the nodes that compute dLoss/dw for each w in `wrt`, given
 * dLoss/dvalue for the values in `outputs`.
 *
 * Values in `wrt` on which nothing depends get zeros. A loss over several values is the sum of their contributions.
 *
 * @throws Unimplemented if the path crosses an operator, or one of its inputs, without a derivative, naming it
 */
export function gradients(outputs: readonly Seed[], wrt: readonly Value[]): Value[] {
  const graph = graphOf(...outputs.map(({ value }) => value));
  const parts = new Map<string, Value[]>();
  for (const { value, seed } of outputs) collect(parts, value, seed);
  const path = dependents(graph.nodes, wrt);
  const targets = new Set(wrt.map(({ name }) => name));
  for (const node of path.nodes.reverse()) {
    const received = node.outputs.map((output) => total(parts, output, targets));
    if (received.every((gradient) => gradient === undefined)) continue;
    const derived = ruleOf(node)(node, received);
    node.inputs.forEach((input, i) => {
      if (!input || !isFloat(input) || !path.values.has(input.name)) return;
      const gradient = derived[i];
      if (!gradient) throw refusal(node, `has no derivative in its input ${i}, "${input.name}"; stop the gradient before it`);
      collect(parts, input, gradient);
    });
  }
  return wrt.map((value) => total(parts, value, new Set()) ?? zerosLike(value));
}

/** The gradients of a scalar loss, each of its value's shape. @throws as {@link gradients} */
export function gradientsOf(loss: Value, wrt: readonly Value[]): Value[] {
  return gradients([{ value: loss, seed: loss.graph.scalar(1) }], wrt);
}

/** Whether a value depends on one of `wrt`, so that a gradient flows from it to there. */
export const dependsOn = (value: Value, wrt: readonly Value[]): boolean => dependents(value.graph.nodes, wrt).values.has(value.name);

const isDifferentiable = (op: string): op is DifferentiableOp => op in rules;

function ruleOf(node: Node): (typeof rules)[DifferentiableOp] {
  if (isDifferentiable(node.op)) return rules[node.op];
  throw refusal(node, "has no derivative: add a rule in autodiff/rules, or stop the gradient before it");
}

const stops: ReadonlySet<string> = new Set(nonDifferentiableOps);

/** What a gradient may flow through: the nodes, in running order, and the names of the values that depend on one of `wrt`. */
function dependents(nodes: readonly Node[], wrt: readonly Value[]): { readonly nodes: Node[]; readonly values: ReadonlySet<string> } {
  const values = new Set(wrt.map(({ name }) => name));
  const found = nodes.filter((node) => {
    if (stops.has(node.op) || !readsOf(node).some((name) => values.has(name))) return false;
    for (const output of node.outputs) values.add(output.name);
    return true;
  });
  return { nodes: found, values };
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
  const gradient = sumOf(list);
  if (keep.has(value.name)) parts.set(value.name, [gradient]);
  else parts.delete(value.name);
  return gradient;
}

const isFloat = (value: Value): boolean => value.dtype === "float32" || value.dtype === "float16" || value.dtype === "float64";
