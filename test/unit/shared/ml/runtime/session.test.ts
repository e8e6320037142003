import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { Graph } from "../../../../../services/shared/ml/graph/graph.js";
import { fusedMatMul, gather, matMul } from "../../../../../services/shared/ml/graph/ops/index.js";
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
    for (const inModel of [undefined, 1000]) {
      const session = await Session.create(graph, { device: "cpu", threads: 1 }, inModel);
      expect((await readdir(tmpdir())).filter((name) => name.startsWith(`retort-weights-${process.pid}-`))).toEqual([]);
      outputs.push((await session.run(feeds)).y!.data);
      await session.release();
    }
    expect(outputs[1]).toEqual(outputs[0]);
  });

  it("multiplies with a large matrix of half precision as with the widened one, block by block", async () => {
    const file = new TemporaryWeights();
    const dims = [9000, 512];
    const bits = Uint16Array.from({ length: dims[0]! * dims[1]! }, (_, i) => 0x3c00 + ((i * 7919) % 1021) + (i % 2) * 0x8000);
    const weight = file.append("bfloat16", dims, [new Uint8Array(bits.buffer)]);
    const x = float32(
      Float32Array.from({ length: 3 * 512 }, (_, i) => Math.cos(i)),
      [1, 3, 512],
    );
    const outputs = [];
    for (const constant of [weight, inMemory(weight)]) {
      const graph = new Graph("head");
      const table = graph.initializer("w", constant);
      const y = fusedMatMul(graph.input("x", "float32", [1, "T", 512]), table, { transB: true, alpha: 0.5 });
      graph.output("y", y);
      graph.output("rows", gather(table, graph.constant(int64([8999, 0]))));
      const session = await Session.create(graph, { device: "cpu", threads: 1 });
      outputs.push(await session.run({ x }));
      await session.release();
    }
    file.close();
    const [byBlocks, whole] = outputs;
    expect(byBlocks!.y!.dims).toEqual([1, 3, 9000]);
    expect(byBlocks!.rows!.data).toEqual(whole!.rows!.data);
    expectAllClose(byBlocks!.y!.data as Float32Array, Array.from(whole!.y!.data as Float32Array), { rtol: 1e-5, atol: 1e-4 }, "y");
  });
});
