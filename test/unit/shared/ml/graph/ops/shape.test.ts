import { Graph } from "../../../../../../services/shared/ml/graph/graph.js";
import { dimOf, iota, squeeze } from "../../../../../../services/shared/ml/graph/ops/index.js";
import { float32 } from "../../../../../../services/shared/ml/graph/tensor.js";
import { evaluate } from "../../../../../support/graph/evaluate.js";

describe("iota()", () => {
  it.each([0, 1, 4])("counts below a length of %i, be it a scalar or a vector", async (size) => {
    const graph = new Graph("iota");
    const length = dimOf(graph.input("x", "float32", ["T", 2]), 0);
    const built = { vector: iota(length, "T"), scalar: iota(squeeze(length, [0]), "T") };
    const found = await evaluate(graph, built, { x: float32(new Float32Array(2 * size), [size, 2]) });
    const expected = BigInt64Array.from({ length: size }, (_, i) => BigInt(i));
    expect([found.vector!.data, found.scalar!.data]).toEqual([expected, expected]);
  });
});
