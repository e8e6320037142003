import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Graph } from "../../../../../services/shared/ml/graph/graph.js";
import { matMul } from "../../../../../services/shared/ml/graph/ops/index.js";
import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import { Session } from "../../../../../services/shared/ml/runtime/session.js";

describe("Session.create()", () => {
  const { TMPDIR } = process.env;
  let own = "";
  beforeEach(async () => {
    own = await mkdtemp(join(tmpdir(), "retort-test-"));
    process.env.TMPDIR = own;
  });
  afterEach(async () => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    await rm(own, { recursive: true });
  });

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
      expect(await readdir(own)).toEqual([]);
      outputs.push((await session.run(feeds)).y!.data);
      await session.release();
    }
    expect(outputs[1]).toEqual(outputs[0]);
  });
});
