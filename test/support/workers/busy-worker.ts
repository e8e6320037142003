import { exposeWorker } from "../../../services/shared/base/workers.js";
import { Graph } from "../../../services/shared/ml/graph/graph.js";
import * as op from "../../../services/shared/ml/graph/ops/index.js";
import { Session } from "../../../services/shared/ml/runtime/session.js";

const width = 300;

const api = {
  /** Makes sessions and runs them, without end: the thread is within native code nearly always. */
  compute: async (): Promise<void> => {
    const graph = new Graph("busy");
    const a = graph.input("a", "float32", [width, width]);
    let product = a;
    for (let i = 0; i < 40; i++) product = op.tanh(op.matMul(product, a));
    graph.output("product", product);
    const feeds = { a: { dtype: "float32", dims: [width, width], data: new Float32Array(width * width) } } as const;
    while (true) {
      const session = await Session.create(graph, { device: "cpu", threads: 1 });
      for (let i = 0; i < 20; i++) await session.run(feeds);
      await session.release();
    }
  },
};

/** What the worker can do. */
export type BusyWorker = typeof api;

exposeWorker(api);
