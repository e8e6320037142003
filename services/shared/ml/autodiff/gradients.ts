import { isHalf } from "../graph/file-tensor.js";
import { graphOf, type Node, type Value } from "../graph/graph.js";
import { after, zerosLike } from "../graph/ops/index.js";
import { readsOf } from "../graph/prune.js";
import type { Stage } from "../graph/stage.js";
import { recomputed, SelectiveCopies } from "./recompute.js";
import { refusal } from "./rule.js";
import { sumOf } from "./sum.js";
import { type DifferentiableOp, nonDifferentiableOps, rules } from "./tables.js";

/** What differentiation starts from at one output. */
export interface Seed {
  readonly value: Value;
  /** dLoss/dvalue, of the value's shape and element type. */
  readonly seed: Value;
}

/** How differentiation goes through a graph of layers, where memory goes by the order in which the runtime computes. */
export interface Walk {
  /** The layers, in the order of the forward pass. The gradients of a layer's weights are computed before its input's goes on. */
  readonly stages: readonly Stage[];
  /** Compute each layer again from its input, once the gradient of its output is there, instead of keeping what it made. */
  readonly recompute: boolean;
  /** What becomes of the finished gradient of the i-th of `wrt`. */
  readonly finish: (gradient: Value, i: number) => Value;
}

/**
 * Reverse-mode differentiation: appends to the graph the nodes that compute dLoss/dw for each w in `wrt`, given
 * dLoss/dvalue for the values in `outputs`.
 *
 * Values in `wrt` on which nothing depends get zeros. A loss over several values is the sum of their contributions.
 *
 * @throws Unimplemented if the path crosses an operator, or one of its inputs, without a derivative, naming it
 */
export function gradients(outputs: readonly Seed[], wrt: readonly Value[], walk?: Walk): Value[] {
  const graph = graphOf(...outputs.map(({ value }) => value));
  const parts = new Map<string, Value[]>();
  for (const { value, seed } of outputs) collect(parts, value, seed);
  const path = dependents(graph.nodes, wrt);
  const targets = new Set(wrt.map(({ name }) => name));
  const finished = new Finished(wrt, parts, path.nodes, walk);
  const order = new Map(graph.nodes.map((node, i) => [node, i]));
  const stages = [...(walk?.stages ?? [])];
  let copies: ReadonlyMap<Node, Node> | undefined;
  let selective: SelectiveCopies | undefined;
  const leave = ({ start, input }: Stage) => {
    copies = undefined;
    selective = undefined;
    const done = finished.from(start, order);
    const gradient = total(parts, input, targets);
    if (gradient) parts.set(input.name, [after(gradient, done)]);
  };
  for (const node of path.nodes.reverse()) {
    const at = order.get(node) as number;
    for (let stage = stages.at(-1); stage && at < stage.start; stage = stages.at(-1)) leave(stages.pop() as Stage);
    const stage = stages.at(-1);
    if (walk?.recompute && stage && at < stage.end) copies ??= recomputed(stage, total(parts, stage.output, new Set([stage.output.name])));
    const received = node.outputs.map((output) => total(parts, output, targets));
    const first = received.find((gradient) => gradient !== undefined);
    if (!first) continue;
    if (!walk?.recompute && stage && at < stage.end) selective ??= new SelectiveCopies(stage);
    const derived = ruleOf(node)(copies?.get(node) ?? selective?.reading(node, first) ?? node, received);
    node.inputs.forEach((input, i) => {
      if (!input || !isFloat(input) || !path.values.has(input.name)) return;
      const gradient = derived[i];
      if (!gradient) throw refusal(node, `has no derivative in its input ${i}, "${input.name}"; stop the gradient before it`);
      collect(parts, input, gradient);
    });
  }
  return finished.all();
}

/** The gradients of `wrt`, each finished once: as soon as the differentiation is past all that reads its value. */
class Finished {
  readonly #wrt: readonly Value[];
  readonly #parts: Map<string, Value[]>;
  readonly #walk: Walk | undefined;
  readonly #readers = new Map<string, Node>();
  readonly #values: Value[] = [];

  constructor(wrt: readonly Value[], parts: Map<string, Value[]>, nodes: readonly Node[], walk: Walk | undefined) {
    this.#wrt = wrt;
    this.#parts = parts;
    this.#walk = walk;
    for (const node of nodes) for (const name of readsOf(node)) if (!this.#readers.has(name)) this.#readers.set(name, node);
  }

  /** Finishes those that no node before `start` reads. @returns what that gives */
  from(start: number, order: ReadonlyMap<Node, number>): Value[] {
    return this.#wrt.flatMap(({ name }, i) => {
      const first = this.#readers.get(name);
      return this.#values[i] || !first || (order.get(first) as number) < start ? [] : [this.#finish(i)];
    });
  }

  all(): Value[] {
    return this.#wrt.map((_, i) => this.#values[i] ?? this.#finish(i));
  }

  #finish(i: number): Value {
    const value = this.#wrt[i] as Value;
    const gradient = total(this.#parts, value, new Set([value.name])) ?? zerosLike(value);
    const given = this.#walk?.finish(gradient, i) ?? gradient;
    this.#values[i] = given;
    return given;
  }
}

/** The gradients of a scalar loss, each of its value's shape. @param seed what they are multiplied with @throws as {@link gradients} */
export function gradientsOf(loss: Value, wrt: readonly Value[], seed: Value = loss.graph.scalar(1)): Value[] {
  return gradients([{ value: loss, seed }], wrt);
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

const isFloat = ({ dtype }: Value): boolean => dtype === "float32" || dtype === "float64" || isHalf(dtype);
