import { shapeRules } from "../../../../../../services/shared/ml/autodiff/rules/shape.js";
import * as op from "../../../../../../services/shared/ml/graph/ops/index.js";
import { int64 } from "../../../../../../services/shared/ml/graph/tensor.js";
import { describeGrads, integers, named, spaced } from "../../../../../support/graph/check-grads.js";

const x = spaced([2, 3, 4]);
const matrix = spaced([4, 3]);

describeGrads(shapeRules, {
  Concat: {
    "along the first axis": [[spaced([1, 3]), spaced([2, 3]), spaced([4, 3])], (...parts) => op.concat(parts, 0)],
    "along the last axis": [[spaced([2, 1]), spaced([2, 3])], (...parts) => op.concat(parts, -1)],
    "a value with itself": [[x], (a) => op.concat([a, op.neg(a), a], 1)],
    "named sizes": [
      [named(spaced([2, 3]), ["A", 3]), spaced([1, 3]), named(spaced([3, 3]), ["B", 3])],
      (...parts) => op.concat(parts, 0, "A+1+B"),
    ],
    "a part that is constant": [[x], (a) => op.concat([a, op.constantLike(a, 2)], 2)],
  },
  Expand: {
    "a column": [[spaced([3, 1])], (a) => op.expand(a, a.graph.constant(int64([3, 4])), [3, 4])],
    "new axes": [[spaced([4])], (a) => op.expand(a, a.graph.constant(int64([2, 3, 4])), [2, 3, 4])],
    "a scalar": [[spaced([])], (a) => op.expand(a, a.graph.constant(int64([2, 3])), [2, 3])],
    "to a size that is known when it runs": [
      [spaced([1, 4]), named(spaced([3, 4]), ["B", 4])],
      (a, like) => op.mul(op.expand(a, op.shapeOf(like), ["B", 4]), like),
    ],
  },
  Gather: {
    "some rows": [[matrix, integers([3, 0])], (a, ids) => op.gather(a, ids)],
    "rows more than once": [[matrix, integers([2, 0, 2, 2, 1, 0])], (a, ids) => op.gather(a, ids)],
    "ids of rank 2, repeated": [[matrix, integers([2, 0, 2, 3, 3, 3], [2, 3])], (a, ids) => op.gather(a, ids)],
    "ids of named sizes": [[matrix, named(integers([1, 1, 0, 1], [2, 2]), ["B", "T"])], (a, ids) => op.gather(a, ids)],
  },
  GatherElements: {
    "the last axis, repeated": [[matrix, integers([0, 0, 2, 1, 1, 1, 2, 0], [4, 2])], (a, ids) => op.gatherElements(a, ids)],
    "the first axis, repeated": [[matrix, integers([0, 3, 1, 0, 3, 2], [2, 3])], (a, ids) => op.gatherElements(a, ids, 0)],
    "rank 3": [[x, integers([1, 1, 1, 0, 2, 0, 2, 2], [2, 1, 4])], (a, ids) => op.gatherElements(a, ids, 1)],
  },
  Reshape: {
    "to fewer axes": [[x], (a) => op.reshape(a, [6, 4])],
    "to more axes": [[matrix], (a) => op.reshape(a, [2, 2, 3])],
    "named sizes": [[named(x, ["B", 3, 4])], (a) => op.reshape(a, ["B", "rest"])],
    "to a target that is a value": [[named(x, ["B", "T", 4])], (a) => op.reshape(a, ["rows", 4], a.graph.constant(int64([-1, 4])))],
  },
  ScatterElements: {
    "the last axis": [
      [matrix, integers([0, 2, 1, 0, 2, 1, 0, 1], [4, 2]), spaced([4, 2])],
      (a, ids, updates) => op.scatterElements(a, ids, updates),
    ],
    "the first axis": [[matrix, integers([3, 0, 1], [1, 3]), spaced([1, 3])], (a, ids, updates) => op.scatterElements(a, ids, updates, 0)],
  },
  Slice: {
    "the middle": [[x], (a) => op.slice(a, 2, 1, 3)],
    "the beginning": [[x], (a) => op.slice(a, -1, 0, 2)],
    "to the end": [[x], (a) => op.slice(a, 1, 1, 2 ** 31)],
    "bounds from the end": [[x], (a) => op.slice(a, 2, -3, -1)],
    "bounds that are values": [[named(x, ["B", "T", 4])], (a) => op.slice(a, 1, a.graph.constant(int64([1])), op.dimOf(a, 1), "T-1")],
    "two that overlap": [[x], (a) => op.mul(op.slice(a, 2, 0, 3), op.slice(a, 2, 1, 4))],
  },
  Split: {
    "all parts": [[x], (a) => op.split(a, 2, [1, 2, 1])],
    "one part of three": [[x], (a) => op.split(a, -1, [1, 1, 2])[1]!],
    "named sizes beside it": [[named(x, ["B", "T", 4])], (a) => op.split(a, 2, [3, 1])],
  },
  Squeeze: {
    "one axis": [[spaced([2, 1, 3])], (a) => op.squeeze(a, [1])],
    "the last axis and another": [[spaced([1, 3, 1])], (a) => op.squeeze(a, [-1, 0])],
  },
  Transpose: {
    "a matrix": [[matrix], (a) => op.transpose(a, [1, 0])],
    "three axes in a circle": [[x], (a) => op.transpose(a, [2, 0, 1])],
    "the middle axes of four": [[spaced([2, 3, 2, 2])], (a) => op.transpose(a, [0, 2, 1, 3])],
  },
  Trilu: {
    upper: [[spaced([3, 4])], (a) => op.trilu(a, true)],
    lower: [[spaced([4, 3])], (a) => op.trilu(a, false)],
    "a batch": [[x], (a) => op.trilu(a, true)],
  },
  Unsqueeze: {
    "the first axis": [[matrix], (a) => op.unsqueeze(a, [0])],
    "the last axis and another": [[matrix], (a) => op.unsqueeze(a, [-1, 1])],
  },
});
