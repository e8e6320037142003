import type { Node, Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { constantOf, inputOf, integerOf, integersOf, type Rule, refusal, rule } from "../rule.js";
import { unbroadcast } from "../unbroadcast.js";

/** The gradient in the shape of the first input. */
const sameShape: Rule = rule((g, node) => [op.reshapeLike(g, inputOf(node, 0))]);

/** The parts' gradients, cut out of the joined one. */
const concatRule: Rule = rule((g, node) => {
  const axis = integerOf(node, "axis");
  const parts = node.inputs.map((_, i) => inputOf(node, i));
  const sizes = parts.flatMap(({ shape }) => (typeof shape[axis] === "number" ? [shape[axis]] : []));
  if (sizes.length === parts.length) return op.split(g, axis, sizes);
  let start: Value = g.graph.constant({ dtype: "int64", dims: [1], data: BigInt64Array.of(0n) });
  return parts.map((part) => {
    const end = op.add(start, op.dimOf(part, axis));
    const piece = op.slice(g, axis, start, end, part.shape[axis]!);
    start = end;
    return piece;
  });
});

/**
 * Rows of the gradient are added up at the indices they were read from. By ScatterElements: ScatterND adds in parallel
 * without locking in ONNX Runtime 1.30, and loses terms where an index repeats.
 */
const gatherRule: Rule = rule((g, node) => {
  const [x, indices] = [inputOf(node, 0), inputOf(node, 1)];
  if (integerOf(node, "axis") !== 0 || x.rank !== 2) throw refusal(node, "has a derivative only for the rows of a matrix (axis 0, rank 2)");
  const width = x.shape[1]!;
  const rows = op.reshape(g, ["rows", width]);
  const places = op.expand(op.reshape(indices, ["rows", 1]), op.shapeOf(rows), rows.shape);
  return [op.scatterElements(op.zerosLike(x), places, rows, 0, "add"), undefined];
});

const gatherElementsRule: Rule = rule((g, node) => {
  const [x, indices] = [inputOf(node, 0), inputOf(node, 1)];
  return [op.scatterElements(op.zerosLike(x), indices, g, integerOf(node, "axis"), "add"), undefined];
});

/** What was overwritten gets nothing; what was put there gets the gradient at its place. */
const scatterElementsRule: Rule = rule((g, node) => {
  if (node.attributes.reduction !== "none") throw refusal(node, "has a derivative only without a reduction");
  const [indices, updates] = [inputOf(node, 1), inputOf(node, 2)];
  const axis = integerOf(node, "axis");
  return [op.scatterElements(g, indices, op.zerosLike(updates), axis), undefined, op.gatherElements(g, indices, axis)];
});

/** The gradient between zeros of what was cut off on either side. */
const sliceRule: Rule = rule((g, node) => {
  const [x, start, end] = [inputOf(node, 0), inputOf(node, 1), inputOf(node, 2)];
  const [axis] = constantOf(node, 3) as [number];
  const size = x.shape[axis]!;
  const whole = op.zerosLike(x);
  const zero = x.graph.constant({ dtype: "int64", dims: [1], data: BigInt64Array.of(0n) });
  const before = op.slice(whole, axis, zero, start, "before");
  const after = op.slice(whole, axis, end, op.dimOf(x, axis), "after");
  return [op.concat([before, g, after], axis, size)];
});

function splitRule(node: Node, gradients: readonly (Value | undefined)[]): readonly (Value | undefined)[] {
  const axis = integerOf(node, "axis");
  const parts = node.outputs.map((output, i) => gradients[i] ?? op.zerosLike(output));
  return [op.concat(parts, axis, inputOf(node, 0).shape[axis]!)];
}

/** Derivatives of the operators that move elements without changing them; g is the gradient of the first result. */
export const shapeRules = {
  Concat: concatRule,
  Expand: rule((g, node) => [unbroadcast(g, inputOf(node, 0))]),
  Gather: gatherRule,
  GatherElements: gatherElementsRule,
  Reshape: sameShape,
  ScatterElements: scatterElementsRule,
  Slice: sliceRule,
  Split: splitRule,
  Squeeze: sameShape,
  // the inverse permutation
  Transpose: rule((g, node) => {
    const perm = integersOf(node, "perm");
    return [
      op.transpose(
        g,
        perm.map((_, axis) => perm.indexOf(axis)),
      ),
    ];
  }),
  Trilu: rule((g, node) => [op.trilu(g, integerOf(node, "upper") === 1)]),
  Unsqueeze: sameShape,
} satisfies Record<string, Rule>;
