import type { Constant } from "../../graph/file-tensor.js";
import { Graph } from "../../graph/graph.js";
import { add, fusedMatMul, matMul } from "../../graph/ops/index.js";
import { float32, sizeOf, type Tensor } from "../../graph/tensor.js";
import type { Feeds } from "../engines/engine.js";
import { TemporaryWeights } from "../temporary-weights.js";

/** A compiled graph whose constants can be written over. */
interface Rewritable {
  run(feeds: Feeds): Promise<Feeds>;
  rewrite(constants: ReadonlyMap<string, Constant>): Promise<void>;
  release(): Promise<void>;
}

/** Compiles a graph so; undefined where that is refused. */
type Compile = (graph: Graph) => Promise<Rewritable | undefined>;

let proven: Promise<boolean> | undefined;

/**
 * Whether constants of a compiled graph can be written over in this process: whether the runtime, as it is on this processor, lays
 * matrices out as we do, takes them from where we say, and computes with what is written there later. It is tried once.
 */
export function canWriteInPlace(compile: Compile): Promise<boolean> {
  proven ??= process.platform === "linux" ? computesWhatIsWritten(compile).catch(() => false) : Promise.resolve(false);
  return proven;
}

/** Several blocks and panels, the last ones not full. */
const [outputs, inputs] = [50, 600];

async function computesWhatIsWritten(compile: Compile): Promise<boolean> {
  const [before, after] = [someWeights(3), someWeights(5)];
  const file = new TemporaryWeights();
  try {
    const graph = new Graph("proof");
    const [x, columns, rows, row] = [
      graph.input("x", "float32", [2, inputs]),
      graph.initializer("columns", file.copy(before.columns)),
      graph.initializer("rows", file.copy(before.rows)),
      graph.initializer("row", file.copy(before.row)),
    ];
    graph.output("byColumns", matMul(x, columns));
    graph.output("byRows", fusedMatMul(x, rows, { transB: true }));
    graph.output("sum", add(x, row));
    const session = await compile(graph);
    if (!session) return false;
    try {
      if (!(await computes(session, before))) return false;
      await session.rewrite(new Map(Object.entries(after)));
      return await computes(session, after);
    } finally {
      await session.release();
    }
  } finally {
    file.close();
  }
}

const someWeights = (step: number) => ({
  columns: numbers(step, [inputs, outputs]),
  rows: numbers(step + 1, [outputs, inputs]),
  row: numbers(step + 2, [inputs]),
});

/** Small whole numbers: sums of their products are exact. */
function numbers(step: number, dims: readonly number[]): Tensor<"float32"> {
  return float32(
    Float32Array.from({ length: sizeOf(dims) }, (_, i) => ((i * step) % 31) - 15),
    dims,
  );
}

async function computes(session: Rewritable, { columns, rows, row }: ReturnType<typeof someWeights>): Promise<boolean> {
  const x = numbers(7, [2, inputs]);
  const made = await session.run({ x });
  const at = (batch: number, input: number) => x.data[batch * inputs + input]!;
  const product = (weight: (input: number, output: number) => number) => (i: number) => {
    let sum = 0;
    for (let input = 0; input < inputs; input++) sum += at(Math.floor(i / outputs), input) * weight(input, i % outputs);
    return sum;
  };
  const expected = {
    byColumns: product((input, output) => columns.data[input * outputs + output]!),
    byRows: product((input, output) => rows.data[output * inputs + input]!),
    sum: (i: number) => x.data[i]! + row.data[i % inputs]!,
  };
  return Object.entries(expected).every(([name, value]) => (made[name] as Tensor<"float32">).data.every((y, i) => y === value(i)));
}
