import { isHalf } from "../graph/file-tensor.js";
import type { Node, Value } from "../graph/graph.js";
import { cast, gemm, scatterElements, sum } from "../graph/ops/index.js";

/**
 * A sum of gradients of one shape, in as few passes as can be: one that is zero but for some rows is added to the others at those
 * rows, and a product is computed on top of the others. A sum of gradients of half precision is float32.
 */
export function sumOf(list: readonly Value[]): Value {
  if (list.length > 1 && list.some(({ dtype }) => isHalf(dtype))) return sum(list.map((value) => cast(value, "float32")));
  for (const value of list.length > 1 ? list : []) {
    const { producer } = value;
    if (!producer) continue;
    const others = () => sumOf(list.filter((one) => one !== value));
    const [first, second, third] = producer.inputs as readonly Value[];
    if (isScattered(producer)) return scatterElements(others(), second as Value, third as Value, producer.attributes.axis as number, "add");
    if (isPlainProduct(producer)) return gemm(first as Value, second as Value, others());
  }
  return sum(list);
}

/**
 * A gradient that nothing else reads on top of `base`, of the same shape: what the gradient itself was made on top of is added to
 * `base` first, so that each of its parts is one more pass over the sum, and none is an array beside it.
 */
export function addedTo(base: Value, gradient: Value): Value {
  const { producer } = gradient;
  const [first, second, third] = (producer?.inputs ?? []) as readonly Value[];
  if (producer?.op === "Gemm") return gemm(first as Value, second as Value, addedTo(base, third as Value));
  if (producer && addsRows(producer) && !isScattered(producer))
    return scatterElements(addedTo(base, first as Value), second as Value, third as Value, producer.attributes.axis as number, "add");
  return sumOf([base, gradient]);
}

const addsRows = ({ op, attributes }: Node): boolean => op === "ScatterElements" && attributes.reduction === "add";

/** Rows that are added to zeros. */
const isScattered = (node: Node): boolean => addsRows(node) && node.inputs[0]?.producer?.op === "ConstantOfShape";

/** a b of two matrices. */
function isPlainProduct({ op, attributes, inputs }: Node): boolean {
  const { transA, transB, alpha } = attributes;
  const once = typeof alpha === "object" && "float" in alpha && alpha.float === 1;
  return op === "FusedMatMul" && transA === 0 && transB === 0 && once && inputs.every((input) => input?.rank === 2);
}
