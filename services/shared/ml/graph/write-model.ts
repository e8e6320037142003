import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { writeAtomically } from "../../base/write-atomically.js";
import { type ExternalData, encodeModel } from "./encode.js";
import type { Graph } from "./graph.js";

/** What fits into one file: a protobuf message must stay below 2 GiB, and the graph takes some of it. */
const maxModelBytes = 2 ** 31 - 2 ** 24;

/** True if a graph's constants fit into one protobuf message. */
export const fitsOneMessage = (graph: Graph, maxBytes = maxModelBytes): boolean =>
  [...graph.initializers.values()].reduce((sum, { tensor }) => sum + tensor.data.byteLength, 0) <= maxBytes;

/**
 * Writes a graph as DIR/model.onnx. Constants that do not fit into one file go to model.onnx.data beside it.
 *
 * @returns the names of the files
 */
export async function writeModel(directory: string, graph: Graph, maxBytes?: number): Promise<string[]> {
  const name = "model.onnx";
  if (fitsOneMessage(graph, maxBytes)) {
    await writeAtomically(join(directory, name), encodeModel(graph));
    return [name];
  }
  const { external, close } = dataFile(directory, `${name}.data`);
  try {
    await writeAtomically(join(directory, name), encodeModel(graph, external));
  } finally {
    close();
  }
  return [name, external.location];
}

/** A file that tensors are appended to, each at the start of a page so that it can be mapped into memory. */
function dataFile(directory: string, location: string): { external: ExternalData; close: () => void } {
  const pageBytes = 4096;
  const file = openSync(join(directory, location), "w");
  let end = 0;
  const store = (bytes: Uint8Array) => {
    const offset = Math.ceil(end / pageBytes) * pageBytes;
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done, offset + done);
    end = offset + bytes.length;
    return offset;
  };
  return { external: { location, minBytes: 1024, store }, close: () => closeSync(file) };
}
