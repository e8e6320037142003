// Dimensions: B rows, G key/value heads, S positions of the joined cache, E head size; F rows of the cache that there was, of s
// positions each; R rows of a run, which has read n positions of each.
import { Graph, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { float32, int64 } from "../graph/tensor.js";
import type { ModelConfig } from "../models/config/model-config.js";

/** Per row [B, 1, 1]: its place among what is joined, and how many positions are from the cache, read at first, and drawn. */
export const joinRowInputs = ["place", "before", "first", "drawn"] as const;

/** Sizes []: positions of the joined cache; heads' positions in the cache that there was, and in one of its heads; those of a run's head. */
export const joinSizeInputs = ["positions", "vectors", "stored", "length", "longest"] as const;

/** Which of the vectors that {@link joinGraph} has side by side each position of a joined cache is: int64 [B, G, S]. */
export function joinIndexGraph({ kvHeads }: ModelConfig): Graph {
  const graph = new Graph("joinIndex");
  const [place, before, first, drawn] = joinRowInputs.map((name) => graph.input(name, "int64", ["B", 1, 1])) as [
    Value,
    Value,
    Value,
    Value,
  ];
  const [positions, vectors, stored, length, longest] = joinSizeInputs.map((name) => graph.input(name, "int64", [])) as [
    Value,
    Value,
    Value,
    Value,
    Value,
  ];
  const groups = graph.constant(
    int64(
      Array.from({ length: kvHeads }, (_, g) => g),
      [1, kvHeads, 1],
    ),
  );
  const none = graph.constant(int64([0], []));
  const one = graph.constant(int64([1], []));
  const s_11S = op.unsqueeze(op.iota(positions, "S"), [0, 1]);
  const head_BG1 = op.add(op.mul(place, graph.constant(int64([kvHeads], []))), groups);
  const far_BGS = op.add(op.add(op.mul(head_BG1, stored), s_11S), one);
  const read_BGS = op.add(op.add(op.mul(head_BG1, length), op.sub(s_11S, before)), op.add(vectors, one));
  const behind_BGS = op.add(read_BGS, op.sub(longest, first));
  const read = op.add(before, first);
  const isDrawn = op.less(s_11S, op.add(read, drawn));
  const own_BGS = op.where(op.less(s_11S, read), read_BGS, op.where(isDrawn, behind_BGS, none));
  graph.output("index", op.where(op.less(s_11S, before), far_BGS, own_BGS));
  return graph;
}

/** Keys and values of one layer joined: each position [E] of `k` and `v` [B, G, S, E] is what `index` says, or zeros. */
export function joinGraph({ kvHeads, headDim }: ModelConfig): Graph {
  const graph = new Graph("join");
  const index = graph.input("index", "int64", ["B", kvHeads, "S"]);
  const zeros = graph.constant(float32(new Float32Array(headDim), [1, headDim]));
  const flat = (x: Value) => op.reshape(x, ["vectors", headDim]);
  for (const part of ["k", "v"]) {
    const far = graph.input(`far.${part}`, "float32", ["F", kvHeads, "s", headDim]);
    const read = graph.input(`read.${part}`, "float32", ["R", kvHeads, "n", headDim]);
    graph.output(part, op.gather(op.concat([zeros, flat(far), flat(read)], 0, "all"), index));
  }
  return graph;
}
