import { join } from "node:path";
import { writeAtomically } from "../../base/write-atomically.js";
import { encodeModel, type Placing } from "./encode.js";
import { byteLengthOf } from "./file-tensor.js";
import type { Graph } from "./graph.js";
import { WeightsFile } from "./weights-file.js";

/** What fits into one file: a protobuf message must stay below 2 GiB, and the graph takes some of it. */
const maxModelBytes = 2 ** 31 - 2 ** 24;

/** Bytes of a constant below which it stays in the model. */
const smallest = 1024;

/**
 * Writes a graph as DIR/model.onnx. Constants that do not fit into one file go to model.onnx.data beside it.
 *
 * @returns the names of the files
 */
export async function writeModel(directory: string, graph: Graph, maxBytes = maxModelBytes): Promise<string[]> {
  const name = "model.onnx";
  const total = [...graph.initializers.values()].reduce((sum, { tensor }) => sum + byteLengthOf(tensor), 0);
  if (total <= maxBytes) {
    await writeAtomically(join(directory, name), encodeModel(graph));
    return [name];
  }
  const location = `${name}.data`;
  const file = new WeightsFile(join(directory, location));
  const place: Placing = (constant) => (byteLengthOf(constant) < smallest ? undefined : { location, offset: file.copy(constant).offset });
  try {
    await writeAtomically(join(directory, name), encodeModel(graph, place));
  } finally {
    file.close();
  }
  return [name, location];
}
