import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { Graph } from "../../../../../services/shared/ml/graph/graph.js";
import { fusedMatMul, gather, matMul, mul, reduceSumSquare } from "../../../../../services/shared/ml/graph/ops/index.js";
import { float32, int64 } from "../../../../../services/shared/ml/graph/tensor.js";
import { inMemory } from "../../../../../services/shared/ml/models/constants.js";
import { Session } from "../../../../../services/shared/ml/runtime/session.js";
import { TemporaryWeights } from "../../../../../services/shared/ml/runtime/temporary-weights.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";

describe("Session.create()", () => {
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
      const session = await Session.create(graph, { device: "cpu", threads: 1 }, inModel);
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
      const session = await Session.create(graph, { device: "cpu", threads: 1 });
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

describe("a bound session", () => {
  const squares = () => {
    const graph = new Graph("squares");
    const x = graph.input("x", "float32", ["N"]);
    graph.output("y", mul(x, x));
    graph.output("sum", reduceSumSquare(x));
    return Session.create(graph, { device: "cpu", threads: 1, bound: true });
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
