import { RetortError } from "../../../base/errors.js";
import { type Dim, graphOf, type Shape, Value } from "../graph.js";
import { type DType, int64, type Tensor } from "../tensor.js";
import { normaliseAxis } from "./broadcast.js";

/** The same value under another symbolic shape, where the builder knows more than inference does. Adds no node. */
export function withShape(x: Value, shape: Shape): Value {
  if (shape.length !== x.rank) throw new RetortError("Internal", `withShape: [${x.shape}] has another rank than [${shape}]`);
  return new Value(x.graph, x.name, x.dtype, shape, x.producer);
}

/** The size of one axis when the graph runs: int64 [1]. */
export function dimOf(x: Value, axis: number): Value {
  const at = normaliseAxis(axis, x.rank);
  return x.graph.node("Shape", [x], [{ dtype: "int64", shape: [1] }], { start: at, end: at + 1 })[0]!;
}

/** The whole shape when the graph runs: int64 [rank]. */
export function shapeOf(x: Value): Value {
  return x.graph.node("Shape", [x], [{ dtype: "int64", shape: [x.rank] }])[0]!;
}

/**
 * Reshape to `shape`. A symbolic dimension that stands at the same axis in the input is copied; one other is inferred.
 * Where that does not settle it, pass `target`, an int64 vector with the sizes.
 */
export function reshape(x: Value, shape: Shape, target?: Value): Value {
  const sizes = sizesFrom(x, shape);
  if (!target && !isSettled(sizes))
    throw new RetortError("Internal", `Reshape: [${x.shape}] to [${shape}] leaves several sizes open; pass their values`);
  const graph = graphOf(x, target);
  return graph.node("Reshape", [x, target ?? graph.constant(int64(sizes))], [{ dtype: x.dtype, shape }])[0]!;
}

/** x in the shape of `like`, which is read, and so kept until then, only where the dimensions' names don't settle it. */
export const reshapeLike = (x: Value, like: Value): Value =>
  reshape(x, like.shape, isSettled(sizesFrom(x, like.shape)) ? undefined : shapeOf(like));

/** What Reshape is told of each dimension: its size, 0 for that of x at this axis, -1 for what is left. */
const sizesFrom = (x: Value, shape: Shape): number[] =>
  shape.map((dim, axis) => (typeof dim === "number" ? dim : x.shape[axis] === dim ? 0 : -1));

const isSettled = (sizes: readonly number[]): boolean => sizes.filter((size) => size < 0).length <= 1;

/** The axes in another order: axis i of the result is axis perm[i] of x. */
export function transpose(x: Value, perm: readonly number[]): Value {
  return x.graph.node("Transpose", [x], [{ dtype: x.dtype, shape: perm.map((axis) => x.shape[axis]!) }], { perm })[0]!;
}

/** x with new axes of size 1, at these places of the result; negative ones count from its end. */
export function unsqueeze(x: Value, axes: readonly number[]): Value {
  const rank = x.rank + axes.length;
  const added = new Set(axes.map((axis) => normaliseAxis(axis, rank)));
  let next = 0;
  const shape = Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : x.shape[next++]!));
  return x.graph.node("Unsqueeze", [x, x.graph.constant(int64([...added]))], [{ dtype: x.dtype, shape }])[0]!;
}

/** x [N, M, …] as [N·M, rest]: the rows of blocks one behind another, [N·M] where there is no rest. @param size of N·M */
export function joinRows(x: Value, size: Dim): Value {
  const [, , ...rest] = x.shape;
  if (rest.length === 0) return reshape(x, [size], x.graph.constant(int64([-1])));
  if (rest.length > 1) throw new RetortError("Internal", `Flatten: [${x.shape}] has more than one axis behind its rows`);
  return x.graph.node("Flatten", [x], [{ dtype: x.dtype, shape: [size, ...rest] }], { axis: 2 })[0]!;
}

/** x without these axes, which are of size 1; negative ones count from the end. */
export function squeeze(x: Value, axes: readonly number[]): Value {
  const removed = new Set(axes.map((axis) => normaliseAxis(axis, x.rank)));
  const shape = x.shape.filter((_, axis) => !removed.has(axis));
  return x.graph.node("Squeeze", [x, x.graph.constant(int64([...removed]))], [{ dtype: x.dtype, shape }])[0]!;
}

/** Joins along `axis`; `size` names the joined dimension when the parts' sizes are not all numbers. */
export function concat(parts: readonly Value[], axis: number, size?: Dim): Value {
  const first = parts[0]!;
  const at = normaliseAxis(axis, first.rank);
  const dims = parts.map((part) => part.shape[at]!);
  const total = dims.every((dim) => typeof dim === "number") ? dims.reduce((a, b) => a + b, 0) : size;
  if (total === undefined) throw new RetortError("Internal", `Concat: sizes [${dims}] are not all known; name their sum`);
  const shape = first.shape.map((dim, i) => (i === at ? total : dim));
  return graphOf(...parts).node("Concat", [...parts], [{ dtype: first.dtype, shape }], { axis: at })[0]!;
}

/** Cuts `axis` into consecutive parts of these sizes. */
export function split(x: Value, axis: number, sizes: readonly number[]): readonly Value[] {
  const at = normaliseAxis(axis, x.rank);
  const outputs = sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.map((dim, i) => (i === at ? size : dim)) }));
  return x.graph.node("Split", [x, x.graph.constant(int64([...sizes]))], outputs, { axis: at });
}

/** x cut along `axis` into parts of the sizes in `sizes` (int64 vector), which are `dims`. */
export const splitBy = (x: Value, axis: number, sizes: Value, dims: readonly Dim[]): readonly Value[] => {
  const outputs = dims.map((dim) => ({ dtype: x.dtype, shape: x.shape.map((whole, i) => (i === axis ? dim : whole)) }));
  return graphOf(x, sizes).node("Split", [x, sizes], outputs, { axis });
};

/** Elements [start, end) along `axis`; bounds are numbers, or int64 [1] values with the resulting size named. */
export function slice(x: Value, axis: number, start: number | Value, end: number | Value, size?: Dim): Value {
  const at = normaliseAxis(axis, x.rank);
  const length = size ?? (typeof start === "number" && typeof end === "number" ? sliceLength(x.shape[at]!, start, end) : undefined);
  if (length === undefined) throw new RetortError("Internal", "Slice: name the size of a slice whose bounds are not numbers");
  const graph = graphOf(x, ...[start, end].filter((bound) => typeof bound !== "number"));
  const bound = (b: number | Value) => (typeof b === "number" ? graph.constant(int64([b])) : b);
  const shape = x.shape.map((dim, i) => (i === at ? length : dim));
  return graph.node("Slice", [x, bound(start), bound(end), graph.constant(int64([at]))], [{ dtype: x.dtype, shape }])[0]!;
}

function sliceLength(dim: Dim, start: number, end: number): Dim | undefined {
  if (typeof dim !== "number") return start >= 0 && end > start && end < 2 ** 31 ? end - start : undefined;
  const clamp = (bound: number) => Math.min(Math.max(bound < 0 ? bound + dim : bound, 0), dim);
  return clamp(end) - clamp(start);
}

/** x indexed by integer `indices` along `axis`; the indices' shape replaces that axis. */
export function gather(x: Value, indices: Value, axis = 0): Value {
  const at = normaliseAxis(axis, x.rank);
  const shape = [...x.shape.slice(0, at), ...indices.shape, ...x.shape.slice(at + 1)];
  return graphOf(x, indices).node("Gather", [x, indices], [{ dtype: x.dtype, shape }], { axis: at })[0]!;
}

/** out[i][j] = x[i][indices[i][j]] (for the last axis); `indices` has the rank of x. */
export function gatherElements(x: Value, indices: Value, axis = -1): Value {
  const at = normaliseAxis(axis, x.rank);
  return graphOf(x, indices).node("GatherElements", [x, indices], [{ dtype: x.dtype, shape: indices.shape }], { axis: at })[0]!;
}

/** For each batch row b the slices x[b, indices[b]]: x [B, N, …], indices int64 [B, 1] or [B, M, 1], result [B, …] or [B, M, …]. */
export function gatherRows(x: Value, indices: Value): Value {
  const shape = [x.shape[0]!, ...indices.shape.slice(1, -1), ...x.shape.slice(2)];
  return graphOf(x, indices).node("GatherND", [x, indices], [{ dtype: x.dtype, shape }], { batch_dims: 1 })[0]!;
}

/** A copy of x in which updates[i][j] is put (or added) at indices[i][j] along `axis`. */
export function scatterElements(x: Value, indices: Value, updates: Value, axis = -1, reduction: "none" | "add" = "none"): Value {
  const attributes = { axis: normaliseAxis(axis, x.rank), reduction };
  return graphOf(x, indices, updates).node("ScatterElements", [x, indices, updates], [{ dtype: x.dtype, shape: x.shape }], attributes)[0]!;
}

/** A copy of x [N, D] with `updates` [R, D] as the rows of these indices, int64 [R], none of which comes twice: whole rows are copied. */
export function putRows(x: Value, indices_R: Value, updates: Value): Value {
  const places = unsqueeze(indices_R, [1]);
  return graphOf(x, indices_R, updates).node("ScatterND", [x, places, updates], [{ dtype: x.dtype, shape: x.shape }])[0]!;
}

/** x repeated along its axes of size 1 to the sizes in `target` (int64 vector), which are `shape`. */
export function expand(x: Value, target: Value, shape: Shape): Value {
  return graphOf(x, target).node("Expand", [x, target], [{ dtype: x.dtype, shape }])[0]!;
}

/** A tensor of the sizes in `target` filled with `fill` (one element). */
export function constantOfShape(target: Value, shape: Shape, fill: Tensor): Value {
  return target.graph.node("ConstantOfShape", [target], [{ dtype: fill.dtype, shape }], { value: fill })[0]!;
}

/** start, start+delta, … below limit; all three are scalars of one integer or float type. */
export function range(start: Value, limit: Value, delta: Value, size: Dim): Value {
  return graphOf(start, limit, delta).node("Range", [start, limit, delta], [{ dtype: start.dtype, shape: [size] }])[0]!;
}

/** 0, 1, … below `length`, int64 [] or [1]: int64 [size]. */
export function iota(length: Value, size: Dim): Value {
  const { graph } = length;
  const start = graph.constant(int64([0], []));
  const limit = length.rank === 0 ? length : squeeze(length, [0]);
  return range(start, limit, graph.constant(int64([1], [])), size);
}

/** Keeps the upper (or lower) triangle of the last two axes and zeroes the rest. */
export function trilu(x: Value, upper: boolean): Value {
  return x.graph.node("Trilu", [x], [{ dtype: x.dtype, shape: x.shape }], { upper: upper ? 1 : 0 })[0]!;
}

/** Zeros of the type and shape of a value. */
export function zerosLike(x: Value): Value {
  return constantOfShape(shapeOf(x), x.shape, fillOf(x.dtype, 0));
}

/** A float32 constant repeated to the shape of a value. */
export function constantLike(x: Value, fill: number): Value {
  return constantOfShape(shapeOf(x), x.shape, fillOf("float32", fill));
}

/** The element type as a tensor of one element, for {@link constantOfShape}. */
export function fillOf(dtype: DType, x: number): Tensor {
  if (dtype === "int64") return int64([x]);
  const data = dtype === "int32" ? Int32Array.of(x) : dtype === "bool" ? Uint8Array.of(x) : Float32Array.of(x);
  return { dtype, dims: [1], data } as Tensor;
}

/**
 * x as it is, but not before `made` have been computed: nothing is copied. The runtime chooses the order of nodes that don't
 * need each other; this decides it where memory goes by it. The values have at least one axis.
 */
export function after(x: Value, made: readonly Value[]): Value {
  if (made.length === 0) return x;
  const { graph } = x;
  const sizes = concat(
    made.map((value) => dimOf(value, 0)),
    0,
  );
  const none = graph.node("Mul", [sizes, graph.constant(int64([0]))], [{ dtype: "int64", shape: sizes.shape }])[0]!;
  const zero = graph.node("ReduceSum", [none, graph.constant(int64([0]))], [{ dtype: "int64", shape: [1] }], { keepdims: 1 })[0]!;
  // Zeros in a shape say: the size that x has there.
  return reshape(x, x.shape, concat(new Array<Value>(x.rank).fill(zero), 0));
}
