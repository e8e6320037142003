// Dimensions: H heads, T position, K buckets, L keys up to the last one of a chunk.
import type { Dim, Graph, Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { int64 } from "../../graph/tensor.js";
import type { GraphWeights } from "../graph-weights.js";

/** How offsets between positions fall into buckets (Raffel et al. 2020, section 2.1). */
export interface RelativeBuckets {
  readonly count: number;
  /** From here on all offsets are in the last bucket. */
  readonly maxDistance: number;
  /** Whether keys behind the query have buckets of their own: half of them. Else they share that of distance 0. */
  readonly bidirectional: boolean;
}

/** A bias on attention scores by head and bucket. */
export interface RelativeBias extends RelativeBuckets {
  /** Name of the weight [K, H]. */
  readonly name: string;
}

/**
 * The bucket of a key by its offset: position of the key less that of the query. Half of the buckets hold one distance
 * each; in the other half their width grows with the logarithm of the distance. In float32 as the peers compute it, since
 * the border of a bucket may lie on a whole number.
 */
export function bucketOf(offset: number, { count, maxDistance, bidirectional }: RelativeBuckets): number {
  const side = bidirectional ? Math.floor(count / 2) : count;
  const first = bidirectional && offset > 0 ? side : 0;
  const distance = bidirectional ? Math.abs(offset) : Math.max(0, -offset);
  const exact = Math.floor(side / 2);
  if (distance < exact) return first + distance;
  const log = Math.fround(Math.log(Math.fround(distance / exact)));
  const share = Math.fround(log / Math.fround(Math.log(maxDistance / exact)));
  return first + Math.min(exact + Math.floor(Math.fround(share * (side - exact))), side - 1);
}

/**
 * Biases of all pairs of positions of a text: [1, H, T, T], queries by keys, added to attention scores.
 *
 * @param length int64 [1]: T
 * @param time what the graph calls T
 */
export function relativeBias(weights: GraphWeights, bias: RelativeBias, length: Value, time: Dim): Value {
  const { graph } = length;
  const places_T = op.iota(length, time);
  const offsets_TT = op.sub(op.unsqueeze(places_T, [0]), op.unsqueeze(places_T, [1]));
  const far = graph.constant(int64([bias.maxDistance], []));
  const clipped_TT = op.min(op.max(offsets_TT, graph.constant(int64([-bias.maxDistance], []))), far);
  const buckets_TT = op.gather(bucketTable(graph, bias, bias.maxDistance), op.add(clipped_TT, far));
  return op.unsqueeze(op.transpose(op.gather(weights.weight(bias.name), buckets_TT), [2, 0, 1]), [0]);
}

/**
 * Biases of one query over what comes before it, for every query of a chunk: [1, H, 1, L]. Its last column is the query
 * itself, the one before that the token before, and so on: a query that sees n keys, itself among them, takes the last n.
 *
 * @param length int64 [1]: L
 */
export function backwardBias(weights: GraphWeights, bias: RelativeBias, length: Value): Value {
  const { graph } = length;
  const last = op.sub(length, graph.constant(int64([1])));
  const distances_L = op.min(op.sub(last, op.iota(length, "L")), graph.constant(int64([bias.maxDistance])));
  const buckets_L = op.gather(bucketTable(graph, bias, 0), op.sub(graph.constant(int64([bias.maxDistance])), distances_L));
  return op.unsqueeze(op.transpose(op.gather(weights.weight(bias.name), buckets_L), [1, 0]), [0, 2]);
}

/** Buckets of the offsets from −maxDistance to `last`, int64. */
function bucketTable(graph: Graph, bias: RelativeBias, last: number): Value {
  const buckets = Array.from({ length: bias.maxDistance + last + 1 }, (_, i) => bucketOf(i - bias.maxDistance, bias));
  return graph.constant(int64(buckets));
}
