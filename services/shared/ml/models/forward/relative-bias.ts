// Dimensions: B rows, H heads, T position, K buckets, Q queries, U keys.
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
 * Biases of queries over the keys before them and their own, by how far these lie back: [B, H, Q, U], added to attention scores.
 *
 * @param distances_BQU int64; a key behind its query counts as the query itself
 */
export function backwardBias(weights: GraphWeights, bias: RelativeBias, distances_BQU: Value): Value {
  const { graph } = distances_BQU;
  const integer = (x: number) => graph.constant(int64([x], []));
  const clipped_BQU = op.min(op.max(distances_BQU, integer(0)), integer(bias.maxDistance));
  const buckets_BQU = op.gather(bucketTable(graph, bias, 0), op.sub(integer(bias.maxDistance), clipped_BQU));
  return op.transpose(op.gather(weights.weight(bias.name), buckets_BQU), [0, 3, 1, 2]);
}

/** Buckets of the offsets from −maxDistance to `last`, int64. */
function bucketTable(graph: Graph, bias: RelativeBias, last: number): Value {
  const buckets = Array.from({ length: bias.maxDistance + last + 1 }, (_, i) => bucketOf(i - bias.maxDistance, bias));
  return graph.constant(int64(buckets));
}
