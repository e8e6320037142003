// Dimensions: N tokens, K experts that each token is given to, P = N·K pairs of them, E experts, D width.
import type { Dim, Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { int64 } from "../../graph/tensor.js";
import type { Experts } from "../config/model-config.js";
import type { Pass } from "./pass.js";

/** A feed-forward part of experts, by the names of its weights. */
export interface RoutedParts {
  /** The linear [E, D] that scores experts. */
  readonly router: string;
  /** An expert's output [P, D] for what it is given, [P, D]. */
  readonly expert: (number: number, x: Value) => Value;
}

/**
 * Σ w · expert(x) over the experts that a router gives each token to (Shazeer et al. 2017): x [.., D] to [.., D].
 *
 * Pairs of token and expert are sorted by expert, so that each computes its own tokens and no others; the work is that of K
 * experts per token, forwards and backwards.
 */
export function routedFeedForward(pass: Pass, { count, perToken, normalised }: Experts, { router, expert }: RoutedParts, x: Value): Value {
  const { graph } = x;
  const width = pass.config.hiddenSize;
  const x_ND = op.reshape(x, ["tokens", width]);
  const [values_NK, ids_NK] = op.topK(op.softmax(pass.linear(router, x_ND)), perToken);
  const weights_NK = normalised ? op.div(values_NK, op.reduceSum(values_NK, [1], true)) : values_NK;
  const ids_P = op.reshape(ids_NK, ["pairs"]);
  const [, order_P] = op.topK(op.neg(op.cast(ids_P, "float32")), op.dimOf(ids_P, 0));
  const experts_E = graph.constant(int64(Array.from({ length: count }, (_, e) => e)));
  const chosen_PE = op.cast(op.equal(op.unsqueeze(ids_P, [1]), experts_E), "float32");
  const counts_E = op.cast(op.reduceSum(chosen_PE, [0]), "int64");
  const sorted_PD = op.gather(x_ND, op.div(order_P, graph.constant(int64([perToken]))));
  const sizes = Array.from({ length: count }, (_, e): Dim => `pairs.${e}`);
  const given = op.splitBy(sorted_PD, 0, counts_E, sizes);
  const made_PD = op.concat(
    given.map((part, e) => expert(e, part)),
    0,
    "pairs",
  );
  const places_P = op.iota(op.dimOf(ids_P, 0), "pairs");
  const inverse_P = op.scatterElements(op.zerosLike(order_P), order_P, places_P, 0);
  const made_NKD = op.reshape(op.gather(made_PD, inverse_P), ["tokens", perToken, width]);
  const sum_ND = op.reduceSum(op.mul(made_NKD, op.unsqueeze(weights_NK, [2])), [1]);
  return op.reshape(sum_ND, x.shape, op.shapeOf(x));
}
