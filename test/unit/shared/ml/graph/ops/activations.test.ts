import { Graph } from "../../../../../../services/shared/ml/graph/graph.js";
import { geluTanh, silu } from "../../../../../../services/shared/ml/graph/ops/index.js";
import { float32 } from "../../../../../../services/shared/ml/graph/tensor.js";
import { checkGrads, spaced } from "../../../../../support/graph/check-grads.js";
import { evaluate } from "../../../../../support/graph/evaluate.js";
import { expectAllClose } from "../../../../../support/jest/all-close.js";

const points = [-3, -1, 0, 0.5, 2];

describe.each([
  // x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))) and x / (1 + e⁻ˣ) in float64
  {
    name: "geluTanh",
    build: geluTanh,
    expected: [-0.0036373920817729943, -0.15880800939172324, 0, 0.34571400982514394, 1.954597694087775],
  },
  { name: "silu", build: silu, expected: [-0.14227761953270035, -0.2689414213699951, 0, 0.3112296656009273, 1.7615941559557649] },
])("$name()", ({ build, expected }) => {
  it("has the values of its definition", async () => {
    const graph = new Graph("activation");
    const x = graph.input("x", "float32", [points.length]);
    const { y } = await evaluate(graph, { y: build(x) }, { x: float32(points, [points.length]) });
    expectAllClose(y!.data as Float32Array, expected, { rtol: 1e-5, atol: 1e-6 });
  });

  it("has a derivative", async () => {
    await checkGrads([spaced([3, 4], [-3, 3])], build);
  });
});
