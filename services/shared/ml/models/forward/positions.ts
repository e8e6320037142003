// Dimensions: B batch, T position.
import type { Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";

/** The place of each token in its text, from 0 on: int64, of the shape of the ids [B, T]. */
export function positionsOf(ids_BT: Value): Value {
  const { shape } = ids_BT;
  const [, time] = shape as [string, string];
  const length = op.squeeze(op.dimOf(ids_BT, 1), [0]);
  const positions_T = op.iota(length, time);
  return op.expand(op.unsqueeze(positions_T, [0]), op.shapeOf(ids_BT), shape);
}
