import { reduceRules } from "../../../../../../services/shared/ml/autodiff/rules/reduce.js";
import type { Value } from "../../../../../../services/shared/ml/graph/graph.js";
import * as op from "../../../../../../services/shared/ml/graph/ops/index.js";
import { int64 } from "../../../../../../services/shared/ml/graph/tensor.js";
import { describeGrads, type GradCases, named, spaced } from "../../../../../support/graph/check-grads.js";

const x = spaced([2, 3, 4], [-2, 2]);
const wide = spaced([2, 3, 4], [-3, 3]);

const reductions = (reduce: typeof op.reduceSum): GradCases => ({
  "all axes": [[wide], (a) => reduce(a)],
  "all axes, kept": [[wide], (a) => reduce(a, undefined, true)],
  "the last axis": [[wide], (a) => reduce(a, [-1])],
  "the last axis, kept": [[wide], (a) => reduce(a, [-1], true)],
  "the first axis": [[wide], (a) => reduce(a, [0])],
  "the middle axis, kept": [[wide], (a) => reduce(a, [1], true)],
  "two axes in falling order": [[wide], (a) => reduce(a, [2, 0])],
  "two axes, kept": [[wide], (a) => reduce(a, [-1, -3], true)],
  "an axis of a named size": [[named(wide, ["B", 3, "N"])], (a) => reduce(a, [0, 2])],
});

const along = (build: (x: Value, axis: number) => Value): GradCases => ({
  "the last axis": [[x], (a) => build(a, -1)],
  "the middle axis": [[x], (a) => build(a, 1)],
  "the first axis": [[x], (a) => build(a, -3)],
  "named sizes": [[named(x, ["B", "T", 4])], (a) => build(a, 2)],
});

describeGrads(reduceRules, {
  CumSum: {
    ...along(op.cumSum),
    exclusive: [[x], (a) => op.cumSum(a, 1, { exclusive: true })],
    reverse: [[x], (a) => op.cumSum(a, -1, { reverse: true })],
    "exclusive and reverse": [[x], (a) => op.cumSum(a, 0, { exclusive: true, reverse: true })],
  },
  LogSoftmax: along(op.logSoftmax),
  ReduceMax: reductions(op.reduceMax),
  ReduceMean: reductions(op.reduceMean),
  ReduceMin: reductions(op.reduceMin),
  ReduceSum: reductions(op.reduceSum),
  ReduceSumSquare: reductions(op.reduceSumSquare),
  Softmax: along(op.softmax),
  TopK: {
    "k of each row": [[wide], (a) => op.topK(a, 2)[0]],
    "one of each row": [[wide], (a) => op.topK(a, 1)[0]],
    "k as a value": [[wide], (a) => op.topK(a, a.graph.constant(int64([3])))[0]],
    "whole rows": [[wide], (a) => op.topK(a, 4)[0]],
    "values and what stands at their places": [
      [wide, x],
      (a, b) => {
        const [values, ids] = op.topK(a, 2);
        return op.mul(values, op.gatherElements(b, ids));
      },
    ],
  },
});
