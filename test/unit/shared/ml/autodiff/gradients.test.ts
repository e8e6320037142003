import { normals } from "../../../../../services/shared/base/random.js";
import { gradients, gradientsOf } from "../../../../../services/shared/ml/autodiff/gradients.js";
import { differentiableOps, nonDifferentiableOps, rules } from "../../../../../services/shared/ml/autodiff/tables.js";
import { Graph, type Value } from "../../../../../services/shared/ml/graph/graph.js";
import * as op from "../../../../../services/shared/ml/graph/ops/index.js";
import { float32, int64, type Tensor } from "../../../../../services/shared/ml/graph/tensor.js";
import { type Build, checkGrads, spaced } from "../../../../support/graph/check-grads.js";
import { evaluate } from "../../../../support/graph/evaluate.js";

/** The gradient in x = [−2, 0, 1.5] of the sum of what `build` makes of it. */
async function gradientIn(build: (x: Value) => Value, at: Tensor = float32([-2, 0, 1.5], [3])): Promise<number[]> {
  const graph = new Graph("gradient");
  const x = graph.input("x", at.dtype, at.dims);
  const [gradient] = gradientsOf(op.reduceSum(build(x)), [x]);
  const { d } = await evaluate(graph, { d: gradient! }, { x: at });
  return Array.from(d!.data, Number);
}

describe("the tables of operators", () => {
  it("are sorted by name, apart, and have a rule for each that is differentiable", () => {
    for (const table of [differentiableOps, nonDifferentiableOps]) expect(table).toEqual([...table].sort());
    expect(Object.keys(rules).sort()).toEqual([...differentiableOps]);
    expect(nonDifferentiableOps.filter((name) => name in rules)).toEqual([]);
  });
});

describe("operators without a derivative", () => {
  const [x, ids] = [spaced([3, 4]), { tensor: int64([0, 1, 1, 2]) }];
  const truth = (value: Value) => op.cast(value, "float32");
  const stops: { readonly [Op in Exclude<(typeof nonDifferentiableOps)[number], "StopGradient">]: Build } = {
    And: (a) => op.mul(a, truth(op.and(op.greater(a, -1), op.less(a, 1)))),
    ArgMax: (a) => op.mul(a, truth(op.argMax(a, -1, true))),
    ConstantOfShape: (a) => op.mul(a, op.add(op.zerosLike(a), 2)),
    Equal: (a, b) => op.mul(a, truth(op.equal(b!, b!.graph.constant(int64([1]))))),
    Greater: (a) => op.mul(a, truth(op.greater(a, 0))),
    GreaterOrEqual: (a) => op.mul(a, truth(op.greaterOrEqual(a, 0))),
    Less: (a) => op.mul(a, truth(op.less(a, 0))),
    LessOrEqual: (a) => op.mul(a, truth(op.lessOrEqual(a, 0))),
    Not: (a) => op.mul(a, truth(op.not(op.less(a, 0)))),
    Range: (a) => op.mul(a, op.range(a.graph.scalar(0), a.graph.scalar(4), a.graph.scalar(1), 4)),
    Shape: (a) => op.mul(a, truth(op.dimOf(a, 1))),
    Sign: (a) => op.mul(a, op.sign(a)),
  };

  it.each(Object.entries(stops))("are constant where they stand: %s", async (name, build) => {
    expect(await checkGrads([x, ids], build)).toContain(name);
  });

  it("are all tried here, but for the one that stops a gradient", () => {
    expect([...Object.keys(stops), "StopGradient"].sort()).toEqual([...nonDifferentiableOps]);
  });
});

describe("gradients()", () => {
  it("stops where it is told to", async () => {
    expect(await gradientIn((x) => op.mul(x, op.stopGradient(x)))).toEqual([-2, 0, 1.5]);
    expect(await gradientIn((x) => op.stopGradient(op.exp(x)))).toEqual([0, 0, 0]);
    expect(await gradientIn((x) => op.pow(2, op.stopGradient(x)))).toEqual([0, 0, 0]);
  });

  it("adds up the ways by which a value counts", async () => {
    expect(await gradientIn((x) => op.add(op.add(op.mul(x, x), op.mul(x, 3)), x))).toEqual([0, 4, 7]);
  });

  it("weighs outputs by their seeds", async () => {
    const graph = new Graph("seeds");
    const x = graph.input("x", "float32", [2]);
    const seeded = (value: Value, seed: readonly number[]) => ({ value, seed: graph.constant(float32(seed, [2])) });
    const [gradient] = gradients([seeded(op.mul(x, x), [1, 10]), seeded(op.neg(x), [100, 1000])], [x]);
    const { d } = await evaluate(graph, { d: gradient! }, { x: float32([3, 4], [2]) });
    expect([...d!.data]).toEqual([6 - 100, 80 - 1000]);
  });

  it("passes through values that are asked for themselves", async () => {
    const graph = new Graph("chain");
    const x = graph.input("x", "float32", [1]);
    const y = op.mul(x, x);
    const [dx, dy] = gradientsOf(op.reduceSum(op.mul(y, y)), [x, y]);
    const { a, b } = await evaluate(graph, { a: dx!, b: dy! }, { x: float32([3], [1]) });
    expect([a!.data[0], b!.data[0]]).toEqual([4 * 27, 2 * 9]);
  });

  it("is zero in a value on which nothing depends, and in indices", async () => {
    const graph = new Graph("indices");
    const [x, other] = [graph.input("x", "float32", [3, 2]), graph.input("other", "float32", [2])];
    const ids = graph.input("ids", "int64", [2]);
    const [a, b] = gradientsOf(op.reduceSum(op.gather(x, ids)), [other, ids]);
    const result = await evaluate(
      graph,
      { a: a!, b: b! },
      { x: float32([1, 2, 3, 4, 5, 6], [3, 2]), ids: int64([2, 2]), other: float32([1, 2], [2]) },
    );
    expect([result.a, result.b]).toEqual([float32([0, 0], [2]), int64([0, 0])]);
  });

  it("goes back to the type a value was cast from", async () => {
    const half: Tensor = { dtype: "float16", dims: [2], data: Uint16Array.of(0x3c00, 0x4000) };
    const graph = new Graph("half");
    const x = graph.input("x", "float16", [2]);
    const [gradient] = gradientsOf(op.reduceSum(op.mul(op.cast(x, "float32"), 2)), [x]);
    const { d } = await evaluate(graph, { d: gradient! }, { x: half });
    expect([d!.dtype, ...d!.data]).toEqual(["float16", 0x4000, 0x4000]);
  });

  it("settles ties: the first of two operands, equal shares of a maximum", async () => {
    expect(await gradientIn((x) => op.max(x, 0))).toEqual([0, 1, 1]);
    expect(await gradientIn((x) => op.min(0, x))).toEqual([1, 0, 0]);
    expect(await gradientIn((x) => op.reduceMax(x), float32([2, 1, 2, 2], [4])).then((d) => d.map((share) => share.toFixed(3)))).toEqual([
      "0.333",
      "0.000",
      "0.333",
      "0.333",
    ]);
  });
});

describe("gradients() refuses", () => {
  const refused: Readonly<Record<string, readonly [build: (x: Value) => Value, message: RegExp]>> = {
    "an exponent that varies": [(x) => op.pow(2, x), /^Pow has no derivative in its input 1, "x"; stop the gradient before it$/],
    "a base that is its own exponent": [(x) => op.pow(x, op.exp(x)), /^Pow has no derivative in its input 1, "Exp_/],
    "an operator without a rule": [(x) => op.gemm(x, x, x), /^Gemm has no derivative: add a rule/],
    "columns of a matrix": [(x) => op.gather(x, x.graph.constant(int64([0])), 1), /^Gather has a derivative only for the rows/],
    "a sum at places": [
      (x) => op.scatterElements(x, x.graph.constant(int64([0, 1], [2, 1])), op.slice(x, 1, 0, 1), 1, "add"),
      /^ScatterElements has a derivative only without a reduction/,
    ],
    "a second result that a rule doesn't cover": [
      (x) => op.simplifiedLayerNormalization(x, op.slice(x, 0, 0, 1), 1e-5)[1],
      /^SimplifiedLayerNormalization has no derivative of its output 1/,
    ],
    "a branch that reads the value": [
      (x) => {
        const [yes, no] = [new Graph("yes", x.graph), new Graph("no", x.graph)];
        for (const branch of [yes, no]) branch.output(branch.name, branch.node("Neg", [x], [{ dtype: "float32", shape: [2, 2] }])[0]!);
        return op.ifElse(op.greater(x.graph.scalar(1), 0), yes, no, [{ dtype: "float32", shape: [2, 2] }])[0]!;
      },
      /^If has no derivative: add a rule/,
    ],
    "axes that are computed": [
      (x) => x.graph.node("ReduceMean", [x, op.dimOf(x, 0)], [{ dtype: "float32", shape: [1, 1] }], { keepdims: 1 })[0]!,
      /^ReduceMean has a derivative only where its input 1, "Shape_\d+", is an int64 constant$/,
    ],
  };

  it.each(Object.entries(refused))("%s", (_, [build, message]) => {
    const graph = new Graph("refused");
    const x = graph.input("x", "float32", [2, 2]);
    const loss = op.reduceSum(build(x));
    expect(() => gradientsOf(loss, [x])).toThrow(
      expect.objectContaining({ code: "Unimplemented", message: expect.stringMatching(message) }),
    );
  });

  it("nothing that no gradient reaches", () => {
    const graph = new Graph("beside");
    const x = graph.input("x", "float32", [2, 2]);
    op.gemm(x, x, x);
    expect(() => gradientsOf(op.reduceSum(x), [x])).not.toThrow();
  });
});

describe("gradients() of a layer", () => {
  const names = ["x", "gate", "up", "down"] as const;
  const feeds = Object.fromEntries(names.map((name, i) => [name, float32(normals(BigInt(i), 9, 1), [3, 3])]));

  /** A gated layer down(silu(x gate) ∘ (x up)), differentiated as a layer or as any graph. */
  async function gated(isLayer: boolean) {
    const graph = new Graph("layer");
    const [x, gate, up, down] = names.map((name) => graph.input(name, "float32", [3, 3])) as [Value, Value, Value, Value];
    const wide = op.mul(op.quickGelu(op.fusedMatMul(x, gate), 1), op.fusedMatMul(x, up));
    const output = op.fusedMatMul(wide, down);
    const stage = { start: 0, end: graph.nodes.length, input: x, output };
    const walk = { stages: isLayer ? [stage] : [], recompute: false, finish: (gradient: Value) => gradient };
    const found = gradients([{ value: output, seed: output }], [x, gate, up, down], walk);
    const made = Object.fromEntries(found.map((gradient, i) => [`d${names[i]}`, gradient]));
    return { graph, wide, outputs: await evaluate(graph, made, feeds) };
  }

  it("computes activations and products of elements again, bit by bit, instead of keeping them", async () => {
    const [layer, other] = [await gated(true), await gated(false)];
    for (const name of names) expect(layer.outputs[`d${name}`]).toEqual(other.outputs[`d${name}`]);
    expect(layer.outputs.dgate?.data.some((x) => x !== 0)).toBe(true);
    const readers = ({ graph, wide }: typeof layer) =>
      graph.nodes.filter(({ inputs }) => inputs.some((input) => input?.name === wide.name));
    // The forward product alone, of the graph that keeps it the gradient of down, too.
    expect([readers(layer).length, readers(other).length]).toEqual([1, 2]);
  });
});
