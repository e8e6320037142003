import type { FileTensor } from "../../../../../services/shared/ml/graph/file-tensor.js";
import { Graph } from "../../../../../services/shared/ml/graph/graph.js";
import * as op from "../../../../../services/shared/ml/graph/ops/index.js";
import { splitGraph } from "../../../../../services/shared/ml/graph/split-graph.js";

/** x · A · B · C + x · A, and the rows that ids ask for of a table; each matrix has 64 bytes. */
function chain(): Graph {
  const graph = new Graph("chain");
  const matrix = (name: string, rows = 4) => {
    const tensor: FileTensor = { dtype: "float32", dims: [rows, 4], path: `/${name}`, offset: 0 };
    return graph.initializer(name, tensor);
  };
  const x = graph.input("x", "float32", ["B", 4]);
  const a = op.fusedMatMul(x, matrix("a"), { transB: true });
  const c = op.fusedMatMul(op.fusedMatMul(a, matrix("b"), { transB: true }), matrix("c"), { transB: true });
  graph.output("y", op.add(c, a));
  graph.output("rows", op.gather(matrix("table", 1000), graph.input("ids", "int64", ["R"])));
  graph.output("again", a);
  return graph;
}

const names = (items: readonly { readonly name: string }[]) => items.map(({ name }) => name);

describe("splitGraph()", () => {
  it("leaves a graph whose constants are few as it is", () => {
    const graph = chain();
    const [only, ...more] = splitGraph(graph, 192);
    expect(more).toEqual([]);
    expect([names(only!.inputs).sort(), names(only!.outputs)]).toEqual([
      ["ids", "x"],
      ["y", "rows", "again"],
    ]);
  });

  it.each([
    [64, [["a"], ["b"], ["c", "table"]]],
    [
      128,
      [
        ["a", "b"],
        ["c", "table"],
      ],
    ],
    [1, [["a"], ["b"], ["c"], ["table"]]],
  ])("gives parts constants of at most %d bytes, or one matrix", (most, constants) => {
    const parts = splitGraph(chain(), most);
    const read = parts.map(({ initializers }) => [...initializers.keys()]).filter((keys) => keys.length > 0);
    expect(read).toEqual(constants);
  });

  it("hands on what later parts read, and gives an output where it is made", () => {
    const [first, second, third] = splitGraph(chain(), 64);
    const [a] = first!.outputs;
    expect(names(first!.outputs)).toEqual([a!.value.name, "again"]);
    expect(names(second!.inputs)).toEqual([a!.value.name]);
    expect(names(third!.inputs)).toContain(a!.value.name);
    expect(names(third!.outputs)).toEqual(["y", "rows"]);
  });
});
