import { BinaryReader } from "@bufbuild/protobuf/wire";
import { encodeModel } from "../../../../../services/shared/ml/graph/encode.js";
import { Graph } from "../../../../../services/shared/ml/graph/graph.js";
import { add, fusedMatMul, quickGelu, scatterElements, zerosLike } from "../../../../../services/shared/ml/graph/ops/index.js";
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

  it("gives a value that is an output and read elsewhere its output's name, without a copy", async () => {
    const graph = new Graph("shared");
    const x = graph.input("x", "float32", [2]);
    const sum = add(x, 1);
    const outputs = { sum, twice: sum, more: add(sum, 1), same: x };
    const made = await evaluate(graph, outputs, { x: float32([1, 2], [2]) });
    expect(Object.fromEntries(Object.entries(made).map(([name, { data }]) => [name, [...(data as Float32Array)]]))).toEqual({
      ...{ sum: [2, 3], twice: [2, 3], more: [3, 4], same: [1, 2] },
    });
    // Copied are the second name of one value, and the input.
    expect(operatorsIn(encodeModel(graph)).sort()).toEqual(["Add", "Add", "Identity", "Identity"]);
  });

  it("lets what needs nothing stand first, so that the runtime makes it last", () => {
    const graph = new Graph("rows");
    const [table, indices, rows] = [
      graph.input("table", "float32", [9, 2]),
      graph.input("indices", "int64", ["R", 2]),
      graph.input("rows", "float32", ["R", 2]),
    ];
    const doubled = add(rows, rows);
    const zeros = [zerosLike(table), zerosLike(doubled)];
    graph.output("gradient", scatterElements(zeros[0]!, indices, add(doubled, zeros[1]!), 0, "add"));
    expect(operatorsIn(encodeModel(graph))).toEqual([
      "Shape",
      "ConstantOfShape",
      "Add",
      "Shape",
      "ConstantOfShape",
      "Add",
      "ScatterElements",
    ]);
  });
});

/** The operators of a model's graph: field 4 of its nodes. */
function operatorsIn(model: Uint8Array): string[] {
  const fields = (bytes: Uint8Array, wanted: number): Uint8Array[] => {
    const reader = new BinaryReader(bytes);
    const found: Uint8Array[] = [];
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (field === wanted && type === 2) found.push(reader.bytes());
      else reader.skip(type);
    }
    return found;
  };
  const nodes = fields(model, 7).flatMap((graph) => fields(graph, 1));
  return nodes.flatMap((node) => fields(node, 4).map((op) => Buffer.from(op).toString()));
}
