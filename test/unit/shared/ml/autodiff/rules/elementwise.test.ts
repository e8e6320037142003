import { elementwiseRules } from "../../../../../../services/shared/ml/autodiff/rules/elementwise.js";
import type { Value } from "../../../../../../services/shared/ml/graph/graph.js";
import * as op from "../../../../../../services/shared/ml/graph/ops/index.js";
import { float32 } from "../../../../../../services/shared/ml/graph/tensor.js";
import { describeGrads, type GradCases, integers, spaced, truths } from "../../../../../support/graph/check-grads.js";

const x = spaced([3, 4]);
const positive = spaced([3, 4], [0.5, 3], 2n);

/** The shapes in which two operands meet; b's elements lie between a's, and far enough from zero to divide by. */
const pairs = (build: (a: op.Operand, b: op.Operand) => Value): GradCases => {
  const range = [0.625, 3.625] as const;
  return {
    "one shape": [[x, spaced([3, 4], range, 2n)], build],
    "a row to every row": [[x, spaced([4], range, 2n)], build],
    "a column to every column": [[x, spaced([3, 1], range, 2n)], build],
    "both repeated": [[spaced([3, 1], [-1.5, 1.5], 3n), spaced([2, 1, 4], range, 2n)], build],
    "a scalar to all": [[x, spaced([], range, 2n)], build],
    "a number on the right": [[x], (a) => build(a, 2)],
    "a number on the left": [[spaced([3, 4], range, 2n)], (b) => build(0.7, b)],
    "names for sizes": [
      [
        { ...x, shape: ["B", 4] },
        { ...spaced([3, 4], range, 2n), shape: ["B", 4] },
      ],
      build,
    ],
    "an operand of another rank with a named size": [
      [
        { ...spaced([4], [-1.5, 1.5], 3n), shape: ["N"] },
        { ...spaced([2, 3, 4], range, 2n), shape: ["B", 3, "N"] },
      ],
      build,
    ],
  };
};

/** Comparing operands: between a's elements, −1.375, −1.125, …, lie b's, −1.25, −1, …, on a grid or its subset. */
const comparisons = (build: (a: op.Operand, b: op.Operand) => Value): GradCases => {
  const range = [-1.375, 1.625] as const;
  return {
    "one shape": [[x, spaced([3, 4], range, 2n)], build],
    "a row to every row": [[x, spaced([4], range, 2n)], build],
    "a row from every row": [[spaced([4], range, 2n), x], build],
    "a number": [[x], (a) => build(a, 0)],
  };
};

const one = (build: (x: Value) => Value, input = x): GradCases => ({
  "a matrix": [[input], (value) => build(value)],
  "a scalar": [[{ tensor: float32([0.8], []) }], (value) => build(value)],
});

describeGrads(elementwiseRules, {
  Abs: one(op.abs),
  Add: { ...pairs(op.add), "a value to itself": [[x], (a) => op.add(a, a)] },
  Cast: {
    "to float64": [[x], (a) => op.cast(op.mul(a, a), "float64")],
    "from float64": [[x], (a) => op.cast(op.cast(a, "float64"), "float32")],
    "of integers beside it": [[x, integers([1, 2, 3, 4])], (a, ids) => op.mul(a, op.cast(ids, "float32"))],
  },
  Div: { ...pairs(op.div), "a value by itself": [[positive], (a) => op.div(op.mul(a, a), a)] },
  Erf: { ...one(op.erf), gelu: [[x], op.gelu] },
  Exp: one(op.exp),
  Log: one(op.log, positive),
  Max: comparisons(op.max),
  Min: comparisons(op.min),
  Mul: { ...pairs(op.mul), "a value by itself": [[x], (a) => op.mul(a, a)] },
  Neg: one(op.neg),
  Pow: {
    square: [[x], (a) => op.pow(a, 2)],
    cube: [[x], (a) => op.pow(a, 3)],
    inverse: [[positive], (a) => op.pow(a, -1)],
    root: [[positive], (a) => op.pow(a, 0.5)],
    "a constant exponent per column": [[spaced([3, 1], [0.5, 3])], (a) => op.pow(a, a.graph.constant(float32([1, 2, -0.5, 1.5], [4])))],
    "an exponent that is fed": [[positive, { ...spaced([4], [1, 2]), varied: false }], (a, b) => op.pow(a, b)],
  },
  Relu: one(op.relu),
  Sigmoid: one(op.sigmoid),
  Sqrt: one(op.sqrt, positive),
  Sub: { ...pairs(op.sub), "a value from itself": [[x], (a) => op.sub(op.mul(a, a), a)] },
  Tanh: { ...one(op.tanh), "a soft cap": [[x], (a) => op.softCap(a, 0.7)] },
  Where: {
    "one shape": [[truths([1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0], [3, 4]), x, positive], (c, a, b) => op.where(c, a, b)],
    "a condition per row": [[truths([1, 0, 1], [3, 1]), x, positive], (c, a, b) => op.where(c, a, b)],
    "values repeated": [
      [truths([1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0], [3, 4]), spaced([4]), spaced([3, 1])],
      (c, a, b) => op.where(c, a, b),
    ],
    "a number": [[truths([1, 0, 1], [3, 1]), x], (c, a) => op.where(c, a, 0)],
    "a condition on the value": [[x], (a) => op.where(op.greater(a, 0), a, op.mul(a, 0.1))],
  },
});
