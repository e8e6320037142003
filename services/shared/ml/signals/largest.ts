// Dimensions: R rows, V vocabulary, N blocks of M neighbouring classes (V = N·M), K classes.
import type { Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { int64 } from "../graph/tensor.js";

/** Classes of a block: fewer leave too many blocks to choose from, more leave too many classes. */
const [smallestBlock, largestBlock] = [16, 128];

/**
 * The ids of the K largest elements of each row, int64 [R, K], the largest first; which of equal ones is among the last is left open.
 *
 * The K largest are in the K blocks with the largest maxima, so that only these are searched: the vocabulary is read once by a
 * maximum, which is many times faster than a search.
 */
export function largestIds(scores_RV: Value, k: number): Value {
  const [rows, vocab] = scores_RV.shape as [string, number];
  const width = blockWidth(vocab);
  if (!width || vocab / width < 4 * k) return op.topK(scores_RV, k)[1];
  const integer = (x: number) => scores_RV.graph.constant(int64([x], []));
  const blocks_RNM = op.reshape(scores_RV, [rows, vocab / width, width]);
  const [, best_RK] = op.topK(op.reduceMax(blocks_RNM, [-1]), k);
  const candidates = op.reshape(op.gatherRows(blocks_RNM, op.unsqueeze(best_RK, [2])), [rows, k * width]);
  const [, places_RK] = op.topK(candidates, k);
  const from_RK = op.div(places_RK, integer(width));
  const within_RK = op.sub(places_RK, op.mul(from_RK, integer(width)));
  return op.add(op.mul(op.gatherElements(best_RK, from_RK), integer(width)), within_RK);
}

/** The widest block that a vocabulary can be cut into without a rest. */
function blockWidth(vocab: number): number | undefined {
  for (let width = largestBlock; width >= smallestBlock; width--) if (vocab % width === 0) return width;
  return undefined;
}
