import { RetortError } from "../../base/errors.js";
import type { Attribute, Node, Value } from "../graph/graph.js";

/**
 * The derivative of one operator: given a node and the gradients of its outputs (undefined where nothing depends on an
 * output), the gradient for each input, undefined where there is none. Gradients have their value's shape.
 */
export type Rule = (node: Node, gradients: readonly (Value | undefined)[]) => readonly (Value | undefined)[];

/**
 * A rule for operators of which one output, the first, has a derivative; it runs only if that output has a gradient.
 *
 * @throws Unimplemented when it is used on a gradient of another output
 */
export function rule(derive: (gradient: Value, node: Node) => readonly (Value | undefined)[]): Rule {
  return (node, [gradient, ...others]) => {
    const at = others.findIndex((other) => other !== undefined);
    if (at >= 0) throw refusal(node, `has no derivative of its output ${at + 1}; stop the gradient after it`);
    return gradient ? derive(gradient, node) : [];
  };
}

/** The i-th input of a node. @throws Internal if the node has no such input */
export const inputOf = (node: Node, index: number): Value => present(node.inputs[index], node, `has no input ${index}`);

/** The i-th output of a node. @throws Internal if the node has no such output */
export const outputOf = (node: Node, index: number): Value => present(node.outputs[index], node, `has no output ${index}`);

/** An integer attribute of a node. @throws Internal if it isn't there or is of another kind */
export const integerOf = (node: Node, name: string): number => attributeOf(node, name, (a) => (typeof a === "number" ? a : undefined));

/** A float attribute of a node. @throws Internal if it isn't there or is of another kind */
export const floatOf = (node: Node, name: string): number =>
  attributeOf(node, name, (a) => (typeof a === "object" && "float" in a ? a.float : undefined));

/** An attribute of a node that is a list of integers. @throws Internal if it isn't there or is of another kind */
export const integersOf = (node: Node, name: string): readonly number[] => attributeOf(node, name, (a) => (isIntegers(a) ? a : undefined));

/** The elements of an integer input that is a constant of the graph. @throws Unimplemented if it is computed or fed */
export function constantOf(node: Node, index: number): number[] {
  const { graph, name } = inputOf(node, index);
  const tensor = graph.initializers.get(name)?.tensor;
  const data = tensor && "data" in tensor ? tensor.data : undefined;
  if (!(data instanceof BigInt64Array))
    throw refusal(node, `has a derivative only where its input ${index}, "${name}", is an int64 constant`);
  return Array.from(data, Number);
}

/** The error for a derivative that doesn't exist, naming the operator. */
export const refusal = (node: Node, why: string): RetortError => new RetortError("Unimplemented", `${node.op} ${why}`);

const isIntegers = (attribute: Attribute): attribute is readonly number[] => Array.isArray(attribute);

function attributeOf<T>(node: Node, name: string, read: (attribute: Attribute) => T | undefined): T {
  const attribute = node.attributes[name];
  return present(attribute === undefined ? undefined : read(attribute), node, `has no attribute ${name} of the expected kind`);
}

function present<T>(found: T | undefined, node: Node, fault: string): T {
  if (found === undefined) throw new RetortError("Internal", `${node.op} ${fault}; build it with its function in graph/ops`);
  return found;
}
