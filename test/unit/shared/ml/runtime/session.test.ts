import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { Graph } from "../../../../../services/shared/ml/graph/graph.js";
import { matMul, mul, reduceSumSquare } from "../../../../../services/shared/ml/graph/ops/index.js";
import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import { Session } from "../../../../../services/shared/ml/runtime/session.js";

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
    for (const inModel of [undefined, 1000]) {
      const session = await Session.create(graph, { device: "cpu", threads: 1 }, inModel);
      expect((await readdir(tmpdir())).filter((name) => name.startsWith(`retort-weights-${process.pid}-`))).toEqual([]);
      outputs.push((await session.run(feeds)).y!.data);
      await session.release();
    }
    expect(outputs[1]).toEqual(outputs[0]);
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
