import { found } from "../../base/found.js";
import type { Graph } from "../graph/graph.js";
import { splitGraph } from "../graph/split-graph.js";
import { type Feeds, Session, type SessionOptions } from "./session.js";

/**
 * Runs a graph once for each of some feeds without ever holding all of its constants: part by part, each compiled, run for all and
 * released before the next.
 *
 * @param most bytes of constants in files that a part has; see {@link splitGraph}
 * @returns the graph's outputs, for each of the feeds
 */
export async function runInParts(graph: Graph, feeds: readonly Feeds[], options: SessionOptions, most: number): Promise<Feeds[]> {
  const parts = splitGraph(graph, most);
  const known = feeds.map((given) => new Map(Object.entries(given)));
  for (const [i, part] of parts.entries()) {
    const session = await Session.create(part, options);
    try {
      for (const values of known) {
        const read = part.inputs.map(({ name }) => [name, found(values.get(name), `the value ${name}`)] as const);
        for (const [name, value] of Object.entries(await session.run(Object.fromEntries(read)))) values.set(name, value);
      }
    } finally {
      await session.release();
    }
    const wanted = new Set([
      ...parts.slice(i + 1).flatMap(({ inputs }) => inputs.map(({ name }) => name)),
      ...graph.outputs.map(({ name }) => name),
    ]);
    for (const values of known) for (const name of values.keys()) if (!wanted.has(name)) values.delete(name);
  }
  return known.map((values) => Object.fromEntries(values));
}
