import type { Node, Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { constantOf, inputOf, integerOf, outputOf, type Rule, rule } from "../rule.js";

/** The reduced axes of a node, read back from its constant second input. */
const axesOf = (node: Node): number[] => constantOf(node, 1);

/** A reduced value with the reduced axes back as size 1. */
function keepDims(x: Value, node: Node): Value {
  return integerOf(node, "keepdims") === 1 ? x : op.unsqueeze(x, axesOf(node));
}

/** A kept-dimension gradient repeated to the shape of `x`. */
const spread = (g: Value, x: Value): Value => op.expand(g, op.shapeOf(x), x.shape);

/** Number of elements in each sum, as a float32 scalar. */
function countOf(node: Node): Value {
  const x = inputOf(node, 0);
  const sizes = axesOf(node).map((axis) => op.dimOf(x, axis));
  const product = sizes.reduce((a, b) => op.mul(a, b));
  return op.squeeze(op.cast(product, "float32"), [0]);
}

/** The gradient of an extremum goes to the elements that attain it, shared among equals. */
const extremum: Rule = rule((g, node) => {
  const x = inputOf(node, 0);
  const hit = op.cast(op.equal(x, keepDims(outputOf(node, 0), node)), "float32");
  return [op.mul(op.div(hit, op.reduceSum(hit, axesOf(node), true)), keepDims(g, node))];
});

/** Derivatives of the operators that work along axes; g is the gradient of the first result y. */
export const reduceRules = {
  // reverse running sum of the gradient
  CumSum: rule((g, node) => {
    const [axis] = axesOf(node) as [number];
    return [op.cumSum(g, axis, { exclusive: integerOf(node, "exclusive") === 1, reverse: integerOf(node, "reverse") !== 1 })];
  }),
  // dx = g − softmax(x) Σg
  LogSoftmax: rule((g, node) => {
    const axis = integerOf(node, "axis");
    return [op.sub(g, op.mul(op.exp(outputOf(node, 0)), op.reduceSum(g, [axis], true)))];
  }),
  ReduceMax: extremum,
  // each element's share is 1/n
  ReduceMean: rule((g, node) => [spread(op.div(keepDims(g, node), countOf(node)), inputOf(node, 0))]),
  ReduceMin: extremum,
  // every element's share is 1
  ReduceSum: rule((g, node) => [spread(keepDims(g, node), inputOf(node, 0))]),
  // d Σx² = 2x
  ReduceSumSquare: rule((g, node) => [op.mul(op.mul(inputOf(node, 0), 2), keepDims(g, node))]),
  // dx = y (g − Σ g y)
  Softmax: rule((g, node) => {
    const y = outputOf(node, 0);
    const axis = integerOf(node, "axis");
    return [op.mul(y, op.sub(g, op.reduceSum(op.mul(g, y), [axis], true)))];
  }),
  // the values' gradient goes back to where each value came from
  TopK: rule((g, node) => {
    const x = inputOf(node, 0);
    return [op.scatterElements(op.zerosLike(x), outputOf(node, 1), g), undefined];
  }),
} satisfies Record<string, Rule>;
