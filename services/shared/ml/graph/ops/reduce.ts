import { graphOf, type Shape, type Value } from "../graph.js";
import { int64 } from "../tensor.js";
import { normaliseAxis } from "./broadcast.js";

function reduce(op: string, x: Value, axes: readonly number[], keepDims: boolean): Value {
  const reduced = new Set(axes.map((axis) => normaliseAxis(axis, x.rank)));
  const shape: Shape = x.shape.flatMap((dim, axis) => (reduced.has(axis) ? (keepDims ? [1] : []) : [dim]));
  const sorted = [...reduced].sort((a, b) => a - b);
  return x.graph.node(op, [x, x.graph.constant(int64(sorted))], [{ dtype: x.dtype, shape }], { keepdims: keepDims ? 1 : 0 })[0]!;
}

/** All axes of a value. */
export const allAxes = (x: Value): number[] => x.shape.map((_, axis) => axis);

export const reduceMax = (x: Value, axes = allAxes(x), keepDims = false): Value => reduce("ReduceMax", x, axes, keepDims);
export const reduceMean = (x: Value, axes = allAxes(x), keepDims = false): Value => reduce("ReduceMean", x, axes, keepDims);
export const reduceMin = (x: Value, axes = allAxes(x), keepDims = false): Value => reduce("ReduceMin", x, axes, keepDims);
export const reduceSum = (x: Value, axes = allAxes(x), keepDims = false): Value => reduce("ReduceSum", x, axes, keepDims);
export const reduceSumSquare = (x: Value, axes = allAxes(x), keepDims = false): Value => reduce("ReduceSumSquare", x, axes, keepDims);

/** Normalised exponential over `axis`. */
export const softmax = (x: Value, axis = -1): Value => x.graph.node("Softmax", [x], [{ dtype: x.dtype, shape: x.shape }], { axis })[0]!;

/** log(softmax(x)), computed without overflow; over `axis`. One node for all who ask it of the same value. */
export const logSoftmax = (x: Value, axis = -1): Value =>
  x.graph.once(`LogSoftmax ${x.name} ${axis}`, () => x.graph.node("LogSoftmax", [x], [{ dtype: x.dtype, shape: x.shape }], { axis })[0]!);

/** Index (int64) of the largest element along `axis`; the first one on a tie. */
export function argMax(x: Value, axis = -1, keepDims = false): Value {
  const at = normaliseAxis(axis, x.rank);
  const shape = x.shape.flatMap((dim, i) => (i === at ? (keepDims ? [1] : []) : [dim]));
  return x.graph.node("ArgMax", [x], [{ dtype: "int64", shape }], { axis, keepdims: keepDims ? 1 : 0 })[0]!;
}

/** The k largest elements along the last axis, in descending order: values, and their indices (int64). */
export function topK(x: Value, k: number | Value): readonly [Value, Value] {
  const fixed = typeof k === "number";
  const shape = [...x.shape.slice(0, -1), fixed ? k : "K"];
  const outputs = [
    { dtype: x.dtype, shape },
    { dtype: "int64" as const, shape },
  ];
  const made = x.graph.node("TopK", [x, fixed ? x.graph.constant(int64([k])) : k], outputs, { axis: -1 });
  return [made[0]!, made[1]!];
}

/** Running sum along `axis`. */
export function cumSum(x: Value, axis: number, options: { exclusive?: boolean; reverse?: boolean } = {}): Value {
  const at = x.graph.constant(int64([normaliseAxis(axis, x.rank)], []));
  const attributes = { exclusive: options.exclusive ? 1 : 0, reverse: options.reverse ? 1 : 0 };
  return graphOf(x).node("CumSum", [x, at], [{ dtype: x.dtype, shape: x.shape }], attributes)[0]!;
}
