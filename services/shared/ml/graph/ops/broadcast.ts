import { RetortError } from "../../../base/errors.js";
import type { Dim, Shape } from "../graph.js";

/**
 * Shape of an elementwise operator over operands of these shapes (ONNX multidirectional broadcasting).
 * Two different symbolic dimensions are refused: they may differ when the graph runs.
 */
export function broadcast(op: string, ...shapes: readonly Shape[]): Shape {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let result: Dim = 1;
    for (const shape of shapes) {
      const dim = shape[axis - rank + shape.length] ?? 1;
      if (dim === 1 || dim === result) continue;
      if (result !== 1)
        throw new RetortError("Internal", `${op}: shapes ${shapes.map((s) => `[${s}]`).join(" and ")} do not broadcast at axis ${axis}`);
      result = dim;
    }
    return result;
  });
}

/** The axis counted from the front. */
export function normaliseAxis(axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis;
  if (normal < 0 || normal >= rank) throw new RetortError("Internal", `axis ${axis} is out of range for rank ${rank}`);
  return normal;
}
