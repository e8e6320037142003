import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { Graph } from "../../../../../services/shared/ml/graph/graph.js";
import { matMul } from "../../../../../services/shared/ml/graph/ops/index.js";
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
