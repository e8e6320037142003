// Dimensions: R rows (completion tokens), V vocabulary.
import type { Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";

/** Teacher log-probabilities below this are raised to it: exp of it is 0 in float32, and 0·log stays finite. */
export const logFloor = -1e4;

/** A teacher's log-probabilities, each ≥ {@link logFloor}. */
export const floored = (logp: Value): Value => op.max(logp, logFloor);

/** log Σ_m w_m p_m: the mixture of several models' distributions, [R, V] each, in log-probabilities; of one model, its own. */
export function mixture(logps_RV: readonly Value[], shares: readonly number[]): Value {
  const weighed = logps_RV.map((logp, m) => op.add(logp, Math.log(shares[m]!)));
  const [first, ...others] = weighed as [Value, ...Value[]];
  if (others.length === 0) return logps_RV[0]!;
  const largest = others.reduce((most, logp) => op.max(most, logp), first);
  return op.add(op.log(op.sum(weighed.map((logp) => op.exp(op.sub(logp, largest))))), largest);
}

/** The element of each row that its label names: [R] of scores [R, V] and int32 labels [R]. */
export const ofLabels = (scores_RV: Value, labels_R: Value): Value =>
  op.squeeze(op.gatherElements(scores_RV, op.unsqueeze(labels_R, [1])), [1]);
