import type { Node, Value } from "../graph/graph.js";

/**
 * The derivative of one operator: given a node and the gradients of its outputs (undefined where nothing depends on an
 * output), the gradient for each input, undefined where there is none to give. Gradients have their value's shape.
 */
export type Rule = (node: Node, gradients: readonly (Value | undefined)[]) => readonly (Value | undefined)[];

/** The i-th input of a node, which the operator requires. */
export const inputOf = (node: Node, index: number): Value => node.inputs[index]!;
/** The i-th output of a node. */
export const outputOf = (node: Node, index: number): Value => node.outputs[index]!;

/** A rule that runs only if the first output has a gradient: that of every operator with one differentiable output. */
export function rule(derive: (gradient: Value, node: Node) => readonly (Value | undefined)[]): Rule {
  return (node, [gradient]) => (gradient ? derive(gradient, node) : []);
}
