import { Graph } from "../../../../../services/shared/ml/graph/graph.js";
import { fusedMatMul, quickGelu } from "../../../../../services/shared/ml/graph/ops/index.js";
import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import { evaluate } from "../../../../support/graph/evaluate.js";

describe("encodeModel()", () => {
  it("makes a model that the runtime loads and runs", async () => {
    const graph = new Graph("product");
    const x = graph.input("x", "float32", ["B", 2]);
    const w = graph.initializer("w", float32([1, 2, 3, 4, 5, 6], [3, 2]));
    const { y } = await evaluate(graph, { y: fusedMatMul(x, w, { transB: true }) }, { x: float32([1, 2], [1, 2]) });
    expect(y).toEqual(float32([5, 11, 17], [1, 3]));
  });

  it("keeps float attributes", async () => {
    const graph = new Graph("activation");
    const x = graph.input("x", "float32", [1]);
    const { y } = await evaluate(graph, { y: quickGelu(x, 2) }, { x: float32([1], [1]) });
    expect(y?.data[0]).toBeCloseTo(1 / (1 + Math.exp(-2)), 6);
  });
});
