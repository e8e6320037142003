// Dimensions: H heads, T position, K buckets, L keys up to the last one of a chunk.
import { readFileSync } from "node:fs";
import { gradientsOf } from "../../../../../../services/shared/ml/autodiff/gradients.js";
import { Graph, type Value } from "../../../../../../services/shared/ml/graph/graph.js";
import * as op from "../../../../../../services/shared/ml/graph/ops/index.js";
import { float32, int64 } from "../../../../../../services/shared/ml/graph/tensor.js";
import {
  backwardBias,
  bucketOf,
  type RelativeBias,
  type RelativeBuckets,
  relativeBias,
} from "../../../../../../services/shared/ml/models/forward/relative-bias.js";
import { graphWeights } from "../../../../../../services/shared/ml/models/graph-weights.js";
import { evaluate } from "../../../../../support/graph/evaluate.js";

const golden = JSON.parse(readFileSync("test/golden/fixtures/t5/buckets.json", "utf8")) as (RelativeBuckets & { buckets: number[] })[];

const heads = 3;
/** Bias of a bucket at a head: a number that names both. */
const biasOf = (bucket: number, head: number) => bucket + head / 10;

/** A graph with the weight of a bias, and what is made of it. */
async function evaluated(buckets: RelativeBuckets, make: (graph: Graph, bias: RelativeBias) => Value) {
  const graph = new Graph("bias");
  const { count } = buckets;
  const weight_KH = graph.input("weight", "float32", [count, heads]);
  const made = make(graph, { ...buckets, name: "weight" });
  const [gradient] = gradientsOf(op.reduceSum(made), [weight_KH]) as [Value];
  const weight = float32(
    Array.from({ length: count * heads }, (_, i) => biasOf(Math.floor(i / heads), i % heads)),
    [count, heads],
  );
  const outputs = await evaluate(graph, { made, gradient }, { weight });
  return { made: outputs.made!, gradient: Array.from(outputs.gradient!.data as Float32Array), weight: Array.from(weight.data) };
}

const weightsOf = (graph: Graph) => graphWeights(new Map([["weight", graph.inputs[0]!]]));
const constant = (graph: Graph, size: number) => graph.constant(int64([size]));

describe("bucketOf()", () => {
  it.each(golden)("gives transformers' buckets: $count up to $maxDistance, bidirectional $bidirectional", ({ buckets, ...how }) => {
    const found = buckets.map((_, i) => bucketOf(i - 300, how));
    expect(found).toEqual(buckets);
  });
});

describe.each([
  { count: 8, maxDistance: 5, bidirectional: true },
  { count: 8, maxDistance: 40, bidirectional: true },
  { count: 8, maxDistance: 10, bidirectional: false },
])("relative biases with %j", (buckets) => {
  const time = 14;
  const allPairs = (graph: Graph, bias: RelativeBias) => relativeBias(weightsOf(graph), bias, constant(graph, time), "T");

  it("are those of the buckets of all pairs of positions, by head", async () => {
    const { made } = await evaluated(buckets, allPairs);
    expect(made.dims).toEqual([1, heads, time, time]);
    const expected = Array.from({ length: heads * time * time }, (_, i) => {
      const [head, query, key] = [Math.floor(i / (time * time)), Math.floor(i / time) % time, i % time];
      return Math.fround(biasOf(bucketOf(key - query, buckets), head));
    });
    expect(Array.from(made.data as Float32Array)).toEqual(expected);
  });

  it("add up their gradients by bucket", async () => {
    const { gradient } = await evaluated(buckets, allPairs);
    const counts = new Array<number>(buckets.count).fill(0);
    for (let query = 0; query < time; query++) for (let key = 0; key < time; key++) counts[bucketOf(key - query, buckets)]!++;
    expect(gradient).toEqual(counts.flatMap((count) => new Array<number>(heads).fill(count)));
  });

  it("of queries over keys go by how far these lie back; a key behind its query counts as the query itself", async () => {
    const distances = (graph: Graph) =>
      graph.constant(
        int64(
          Array.from({ length: 2 * time }, (_, i) => time - 2 - i),
          [1, 2, time],
        ),
      );
    const { made } = await evaluated(buckets, (graph, bias) => backwardBias(weightsOf(graph), bias, distances(graph)));
    expect(made.dims).toEqual([1, heads, 2, time]);
    const expected = Array.from({ length: heads * 2 * time }, (_, i) =>
      Math.fround(biasOf(bucketOf(-Math.max(0, time - 2 - (i % (2 * time))), buckets), Math.floor(i / (2 * time)))),
    );
    expect(Array.from(made.data as Float32Array)).toEqual(expected);
  });
});
