// Dimensions: B rows, T positions, D width.
import type { Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import type { Pass, Residual } from "./pass.js";

/**
 * The residual stream from x [B, T, D] on, in as few operators as can be: a sum and the norm that reads it next are one.
 *
 * @param joins whether they are
 */
export function leanResidual(pass: Pass, x: Value, joins = pass.config.norm !== "layer"): Residual {
  let sum = x;
  // Added by the norm that reads the sum next.
  let update: Value | undefined;
  const read = () => {
    if (update) sum = op.add(sum, update);
    update = undefined;
    return sum;
  };
  return {
    add: (next) => {
      if (update) sum = op.add(sum, update);
      update = next;
    },
    norm: (name) => {
      if (!update || !joins) return pass.norm(name, read());
      const [normed, added] = op.skipSimplifiedLayerNormalization(sum, update, pass.normScale(name), pass.config.normEps);
      sum = added;
      update = undefined;
      return normed;
    },
    read,
  };
}
