import type { Graph, Value } from "../../../services/shared/ml/graph/graph.js";
import type { Tensor } from "../../../services/shared/ml/graph/tensor.js";
import { type Feeds, Session } from "../../../services/shared/ml/runtime/session.js";

/** Compiles a graph whose outputs are `outputs`, runs it once on one thread and releases it. */
export async function evaluate(graph: Graph, outputs: Readonly<Record<string, Value>>, feeds: Feeds): Promise<Record<string, Tensor>> {
  for (const [name, value] of Object.entries(outputs)) graph.output(name, value);
  const session = await Session.create(graph, { device: "cpu", threads: 1 });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}
