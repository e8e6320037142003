import type { Value } from "../graph/graph.js";
import { scatterElements, sum } from "../graph/ops/index.js";

/** A sum of gradients of one shape. One that is zero but for some rows is added to the others at those rows, without its zeros. */
export function sumOf(list: readonly Value[]): Value {
  const scattered = list.length > 1 ? list.find(isScattered) : undefined;
  const producer = scattered?.producer;
  if (!producer) return sum(list);
  const [, indices, updates] = producer.inputs as readonly Value[];
  const others = sumOf(list.filter((one) => one !== scattered));
  return scatterElements(others, indices as Value, updates as Value, producer.attributes.axis as number, "add");
}

const isScattered = ({ producer }: Value): boolean =>
  producer?.op === "ScatterElements" && producer.attributes.reduction === "add" && producer.inputs[0]?.producer?.op === "ConstantOfShape";
