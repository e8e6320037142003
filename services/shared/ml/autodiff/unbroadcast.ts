import type { Value } from "../graph/graph.js";
import { reduceSum, squeeze } from "../graph/ops/index.js";

/** Sums a gradient over the axes along which `target` was broadcast, so that it has `target`'s shape again. */
export function unbroadcast(gradient: Value, target: Value): Value {
  const extra = gradient.rank - target.rank;
  const axes = gradient.shape.flatMap((dim, axis) => (axis < extra || (target.shape[axis - extra] === 1 && dim !== 1) ? [axis] : []));
  if (axes.length === 0) return gradient;
  const summed = reduceSum(gradient, axes, true);
  return extra === 0 ? summed : squeeze(summed, [...Array(extra).keys()]);
}
