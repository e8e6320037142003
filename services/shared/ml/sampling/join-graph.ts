// Dimensions: B rows, G key/value heads, S positions of the joined cache, E head size; F rows of the cache that there was, of s
// positions each; R rows of a run, which has read n positions of each.
import { Graph, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { int64 } from "../graph/tensor.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { type CacheDtype, zeros } from "./cache-dtype.js";

/** Per row [B, 1, 1]: its place among what is joined, and how many positions are from the cache, read at first, and drawn. */
export const joinRowInputs = ["place", "before", "first", "drawn"] as const;

/** Sizes []: positions of the joined cache, of the one that there was, of what a run has read, and of the longest text that it read at first. */
export const joinSizeInputs = ["positions", "stored", "length", "longest"] as const;

/** What {@link joinIndexGraph} gives {@link joinGraph}. */
export const joinIndexNames = ["farAt", "readAt", "isFar", "isRead"] as const;

/**
 * Where each position of a joined cache comes from: whether from the cache that there was or from what a run has read, bool [B, 1, S],
 * and which of the vectors there it is, int64 [B, G, S].
 */
export function joinIndexGraph({ kvHeads }: ModelConfig): Graph {
  const graph = new Graph("joinIndex");
  const [place, before, first, drawn] = joinRowInputs.map((name) => graph.input(name, "int64", ["B", 1, 1])) as [
    Value,
    Value,
    Value,
    Value,
  ];
  const sizes = joinSizeInputs.map((name) => graph.input(name, "int64", []));
  const [positions, stored, length, longest] = sizes as [Value, Value, Value, Value];
  const groups = graph.constant(
    int64(
      Array.from({ length: kvHeads }, (_, g) => g),
      [1, kvHeads, 1],
    ),
  );
  const none = graph.constant(int64([0], []));
  const s_11S = op.unsqueeze(op.iota(positions, "S"), [0, 1]);
  const head_BG1 = op.add(op.mul(place, graph.constant(int64([kvHeads], []))), groups);
  const isFar = op.less(s_11S, before);
  const read = op.add(before, first);
  const isCached = op.less(s_11S, op.add(read, drawn));
  // What was drawn lies behind the longest text that was read at first.
  const place_B1S = op.where(op.less(s_11S, read), op.sub(s_11S, before), op.add(op.sub(s_11S, read), longest));
  const isRead = op.and(isCached, op.not(isFar));
  graph.output("farAt", op.where(isFar, op.add(op.mul(head_BG1, stored), s_11S), none));
  graph.output("readAt", op.where(isRead, op.add(op.mul(head_BG1, length), place_B1S), none));
  graph.output("isFar", isFar);
  graph.output("isRead", isRead);
  return graph;
}

/**
 * Keys and values of one layer joined: each position [E] of `k` and `v` [B, G, S, E] is what {@link joinIndexGraph} says, or zeros. By
 * gathers, not by Concat, for which CUDA's provider takes eight bytes to the device for each of its vectors.
 */
export function joinGraph({ kvHeads, headDim }: ModelConfig, dtype: CacheDtype): Graph {
  const graph = new Graph("join");
  const at = (name: "farAt" | "readAt") => graph.input(name, "int64", ["B", kvHeads, "S"]);
  const is = (name: "isFar" | "isRead") => op.unsqueeze(graph.input(name, "bool", ["B", 1, "S"]), [3]);
  const [farAt, readAt, isFar, isRead] = [at("farAt"), at("readAt"), is("isFar"), is("isRead")];
  const nothing = graph.constant(zeros(dtype, []));
  const flat = (x: Value) => op.reshape(x, ["vectors", headDim]);
  for (const part of ["k", "v"]) {
    const far = graph.input(`far.${part}`, dtype, ["F", kvHeads, "s", headDim]);
    const read = graph.input(`read.${part}`, dtype, ["R", kvHeads, "n", headDim]);
    const own = op.where(isRead, op.gather(flat(read), readAt), nothing);
    graph.output(part, op.where(isFar, op.gather(flat(far), farAt), own));
  }
  return graph;
}
