import { readdir, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import type { FileTensor } from "../../../../../services/shared/ml/graph/file-tensor.js";
import { Graph, type Value } from "../../../../../services/shared/ml/graph/graph.js";
import {
  add,
  concat,
  fusedMatMul,
  gather,
  matMul,
  mul,
  reduceSumSquare,
  reshape,
} from "../../../../../services/shared/ml/graph/ops/index.js";
import { type DType, float32, int64, type Tensor } from "../../../../../services/shared/ml/graph/tensor.js";
import { inMemory } from "../../../../../services/shared/ml/models/constants.js";
import { runtimes, Session } from "../../../../../services/shared/ml/runtime/session.js";
import { TemporaryWeights } from "../../../../../services/shared/ml/runtime/temporary-weights.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";

describe.each(runtimes)("Session.create() by the runtime %s", (runtime) => {
  it("hands large constants over by way of a file, and leaves none", async () => {
    const graph = new Graph("large");
    const weight = float32(
      Float32Array.from({ length: 64 * 64 }, (_, i) => Math.sin(i)),
      [64, 64],
    );
    const x = graph.input("x", "float32", [1, 64]);
    graph.output("y", matMul(x, graph.initializer("w", weight)));
    const feeds = { x: float32(new Float32Array(64).fill(1), [1, 64]) };
    const outputs = [];
    // Other tests of this process may have models open.
    const files = async () => (await readdir(tmpdir())).filter((name) => name.startsWith(`retort-weights-${process.pid}-`));
    const before = await files();
    for (const inModel of [undefined, 1000]) {
      const session = await Session.create(graph, { device: "cpu", threads: 1, runtime }, inModel);
      expect(await files()).toEqual(before);
      outputs.push((await session.run(feeds)).y!.data);
      await session.release();
    }
    expect(outputs[1]).toEqual(outputs[0]);
  });

  it("multiplies with a large matrix of half precision, plain or transposed, as with the widened one, block by block", async () => {
    const file = new TemporaryWeights();
    // Two blocks of rows, one of them shorter.
    const dims = [9001, 512];
    const bits = Uint16Array.from({ length: dims[0]! * dims[1]! }, (_, i) => 0x3c00 + ((i * 7919) % 1021) + (i % 2) * 0x8000);
    const weight = file.append("bfloat16", dims, [new Uint8Array(bits.buffer)]);
    const x = float32(
      Float32Array.from({ length: 3 * 512 }, (_, i) => Math.cos(i)),
      [1, 3, 512],
    );
    const g = float32(
      Float32Array.from({ length: 3 * 9001 }, (_, i) => Math.sin(i)),
      [1, 3, 9001],
    );
    const outputs = [];
    for (const constant of [weight, inMemory(weight)]) {
      const graph = new Graph("head");
      const table = graph.initializer("w", constant);
      const y = fusedMatMul(graph.input("x", "float32", [1, "T", 512]), table, { transB: true, alpha: 0.5 });
      graph.output("y", y);
      graph.output("back", fusedMatMul(graph.input("g", "float32", [1, "T", 9001]), table, { alpha: 0.5 }));
      graph.output("rows", gather(table, graph.constant(int64([8999, 0]))));
      const session = await Session.create(graph, { device: "cpu", threads: 1, runtime });
      outputs.push(await session.run({ x, g }));
      await session.release();
    }
    file.close();
    const [byBlocks, whole] = outputs;
    expect(byBlocks!.y!.dims).toEqual([1, 3, 9001]);
    expect(byBlocks!.rows!.data).toEqual(whole!.rows!.data);
    for (const name of ["y", "back"])
      expectAllClose(
        byBlocks![name]!.data as Float32Array,
        Array.from(whole![name]!.data as Float32Array),
        { rtol: 1e-5, atol: 1e-3 },
        name,
      );
  });
});

describe.each(runtimes)("a session of the runtime %s", (runtime) => {
  const types = {
    bool: [1, 0],
    float16: [0x3c00, 0xbc00],
    bfloat16: [0x3f80, 0xbf80],
    float32: [1.5, -2],
    int32: [7, -7],
    uint8: [3, 255],
  };

  it("takes and gives every type, and arrays without elements", async () => {
    const graph = new Graph("types");
    const feeds: Record<string, Tensor> = {};
    // The stock binding has no word for bfloat16.
    const known = Object.entries(types).filter(([dtype]) => runtime === "native" || dtype !== "bfloat16");
    for (const [dtype, numbers] of known) {
      graph.output(`${dtype}.out`, reshape(graph.input(dtype, dtype as DType, ["N"]), [1, "N"], graph.constant(int64([1, -1]))));
      const like = { bool: Uint8Array, uint8: Uint8Array, float32: Float32Array, int32: Int32Array }[dtype as "bool"] ?? Uint16Array;
      feeds[dtype] = { dtype, dims: [2], data: like.from(numbers) } as Tensor;
    }
    graph.output("int64.out", concat([graph.input("empty", "int64", ["E"]), graph.input("int64", "int64", ["N"])], 0, "E+N"));
    graph.output("none", mul(1, graph.input("nothing", "float32", [0, 3])));
    Object.assign(feeds, { empty: int64([]), int64: int64([2 ** 40, -1]), nothing: float32([], [0, 3]) });
    const session = await Session.create(graph, { device: "cpu", threads: 1, runtime });
    const outputs = await session.run(feeds);
    for (const [dtype, numbers] of known)
      expect([
        outputs[`${dtype}.out`]!.dtype,
        outputs[`${dtype}.out`]!.dims,
        Array.from(outputs[`${dtype}.out`]!.data as Uint8Array),
      ]).toEqual([dtype, [1, 2], numbers]);
    expect(outputs["int64.out"]!.data).toEqual(BigInt64Array.from([2n ** 40n, -1n]));
    expect([outputs.none!.dims, outputs.none!.data.length]).toEqual([[0, 3], 0]);
    await session.release();
  });

  it("gives the outputs that are wanted, and says what the runtime says against a run", async () => {
    const graph = new Graph("two");
    const x = graph.input("x", "float32", [2]);
    graph.output("square", mul(x, x));
    graph.output("double", mul(x, 2));
    const session = await Session.create(graph, { device: "cpu", threads: 1, runtime });
    expect(session.outputNames).toEqual(["square", "double"]);
    expect(Object.keys(await session.run({ x: float32([1, 2], [2]) }, {}, ["double"]))).toEqual(["double"]);
    await expect(session.run({ x: float32([1, 2, 3], [3]) })).rejects.toThrow(/dimension/i);
    // And goes on.
    expect(Array.from((await session.run({ x: float32([3, 4], [2]) })).square!.data as Float32Array)).toEqual([9, 16]);
    await session.release();
  });
});

describe.each(runtimes)("a bound session of the runtime %s", (runtime) => {
  const squares = () => {
    const graph = new Graph("squares");
    const x = graph.input("x", "float32", ["N"]);
    graph.output("y", mul(x, x));
    graph.output("sum", reduceSumSquare(x));
    return Session.create(graph, { device: "cpu", threads: 1, bound: true, runtime });
  };
  const x = float32([1, 2, 3], [3]);

  it("writes each output to its array, and gives that one back", async () => {
    const session = await squares();
    const into = { y: float32(new Float32Array(3), [3]), sum: float32([0], []) };
    const outputs = await session.run({ x }, into);
    expect(outputs.y).toBe(into.y);
    expect([...into.y.data, ...into.sum.data]).toEqual([1, 4, 9, 14]);
    await session.release();
  });

  it("may write to the arrays that it reads", async () => {
    const session = await squares();
    const state = float32([1, 2, 3], [3]);
    for (let i = 0; i < 2; i++) await session.run({ x: state }, { y: state, sum: float32([0], []) });
    expect([...state.data]).toEqual([1, 16, 81]);
    await session.release();
  });

  it("refuses an output that has no array, and one of another size", async () => {
    const session = await squares();
    const y = float32(new Float32Array(3), [3]);
    await expect(session.run({ x }, { y })).rejects.toMatchObject({ code: "Internal", message: expect.stringContaining("output sum") });
    const small = { y: float32(new Float32Array(2), [2]), sum: float32([0], []) };
    await expect(session.run({ x }, small)).rejects.toThrow(/shape/i);
    await session.release();
  });
});

// Where the runtime's layout of matrices is known; elsewhere graphs are compiled as ever.
const isKnownMachine = process.platform === "linux" && process.arch === "x64";
if (!isKnownMachine) console.warn("skipped: constants are written over on Linux on x86-64 alone; run the tests there");
const onKnownMachine = isKnownMachine ? describe : describe.skip;

onKnownMachine.each(runtimes)("Session.rewrite() by the runtime %s", (runtime) => {
  const options = { device: "cpu", threads: 1, runtime, rewritable: true } as const;
  const matrix = (step: number, dims: readonly [number, number]) =>
    float32(
      Float32Array.from({ length: dims[0] * dims[1] }, (_, i) => Math.sin(i * step)),
      dims,
    );

  it("computes with the other constants, wherever the first are read: in products of both kinds, by rows, and in a sum", async () => {
    const file = new TemporaryWeights();
    const make = (step: number) => ({ tied: matrix(step, [300, 40]), across: matrix(step + 1, [40, 70]), row: matrix(step + 2, [1, 40]) });
    const graphOf = (constants: ReturnType<typeof make>) => {
      const graph = new Graph("several");
      const x = graph.input("x", "float32", [3, 40]);
      const [tied, across, row] = Object.entries(constants).map(([name, tensor]) => graph.initializer(name, file.copy(tensor))) as [
        Value,
        Value,
        Value,
      ];
      graph.output("logits", fusedMatMul(x, tied, { transB: true, alpha: 0.5 }));
      graph.output("product", matMul(x, across));
      graph.output("rows", gather(tied, graph.constant(int64([299, 0]))));
      graph.output("sum", add(x, row));
      return graph;
    };
    const [first, second] = [make(0.3), make(0.7)];
    const session = await Session.create(graphOf(first), options);
    expect(session.isRewritable).toBe(true);
    const x = matrix(0.1, [3, 40]);
    const results = [await session.run({ x })];
    await session.rewrite(new Map(Object.entries(second)));
    results.push(await session.run({ x }));
    await session.release();
    for (const [i, constants] of [first, second].entries()) {
      const compiled = await Session.create(graphOf(constants), { ...options, rewritable: false });
      expect(results[i]).toEqual(await compiled.run({ x }));
      await compiled.release();
    }
    file.close();
  });

  it("brings large ones in by two threads, wherever they lie in their pages, and tells what goes wrong", async () => {
    const file = new TemporaryWeights();
    // They are cut, in the middle of what the runtime lays out together.
    const dims = [2050, 2052];
    const large = (step: number): FileTensor => {
      const data = Float32Array.from({ length: 2051 * 2052 }, (_, i) => ((i * step) % 31) - 15);
      return { ...file.copy(float32(data, [2051, 2052])), dims };
    };
    const [first, second, third] = [large(3), large(5), large(7)];
    const graphOf = (w: FileTensor) => {
      const graph = new Graph("large");
      const [down, up] = [graph.initializer("down", w), graph.initializer("up", w)];
      graph.output("less", fusedMatMul(graph.input("x", "float32", [3, 2052]), down, { transB: true }));
      graph.output("more", matMul(graph.input("y", "float32", [3, 2050]), up));
      graph.output("rows", gather(down, graph.constant(int64([2049, 0, 1025]))));
      return graph;
    };
    const feeds = { x: matrix(0.1, [3, 2052]), y: matrix(0.2, [3, 2050]) };
    const both = (w: FileTensor) => new Map(["down", "up"].map((name) => [name, w]));
    const session = await Session.create(graphOf(first), { ...options, threads: 2 });
    for (const next of [second, { ...third, offset: third.offset + 64 }, first]) {
      await session.rewrite(both(next));
      const compiled = await Session.create(graphOf(next), { ...options, threads: 2, rewritable: false });
      expect(await session.run(feeds)).toEqual(await compiled.run(feeds));
      await compiled.release();
    }
    await truncate(file.path, third.offset + 4096);
    await expect(session.rewrite(both(third))).rejects.toMatchObject({ code: "DataLoss" });
    await session.release();
    file.close();
  });

  it("isn't there where no constant lies in a file: the graph is compiled as any other", async () => {
    const graph = new Graph("fed");
    const x = graph.input("x", "float32", [3, 40]);
    graph.output("y", matMul(x, graph.initializer("w", matrix(0.3, [40, 7]))));
    const session = await Session.create(graph, options);
    expect(session.isRewritable).toBe(false);
    expect((await session.run({ x: matrix(0.1, [3, 40]) })).y!.dims).toEqual([3, 7]);
    await session.release();
  });

  it("isn't there for a constant that two kinds of products read, or that is held in half precision", async () => {
    const file = new TemporaryWeights();
    const square = matrix(0.3, [40, 40]);
    const bits = new Uint8Array(2 * 40 * 40);
    for (const constant of [file.copy(square), file.append("bfloat16", [40, 40], [bits])]) {
      const graph = new Graph("both");
      const w = graph.initializer("w", constant);
      const x = graph.input("x", "float32", [3, 40]);
      graph.output("y", add(fusedMatMul(x, w, { transB: true }), fusedMatMul(x, w)));
      const session = await Session.create(graph, options);
      expect(session.isRewritable).toBe(false);
      expect((await session.run({ x: matrix(0.1, [3, 40]) })).y!.dims).toEqual([3, 40]);
      await session.release();
    }
    file.close();
  });
});
