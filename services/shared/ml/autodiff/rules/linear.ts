import type { Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { floatOf, inputOf, integerOf, type Rule, rule } from "../rule.js";
import { unbroadcast } from "../unbroadcast.js";

interface Product {
  readonly transA: boolean;
  readonly transB: boolean;
  readonly alpha: number;
}

/** [..., M, N] as [all rows, N], so that a product with a matrix is one GEMM. */
function rows(x: Value): Value {
  if (x.rank === 2) return x;
  const width = x.shape[x.rank - 1]!;
  const flat = typeof width === "number" ? undefined : op.concat([minusOne(x), op.dimOf(x, -1)], 0);
  return op.reshape(x, [`rows(${x.shape.slice(0, -1)})`, width], flat);
}

const minusOne = (x: Value): Value => x.graph.constant({ dtype: "int64", dims: [1], data: BigInt64Array.of(-1n) });

/** aᵀ b of matrices a [R, M] and b [R, N], as a plain product behind a transposed copy: by half faster than one that transposes itself. */
const productOverRows = (a: Value, b: Value, alpha: number): Value => op.fusedMatMul(op.transpose(a, [1, 0]), b, { alpha });

/**
 * Gradients of y = alpha · op(a) op(b):
 *   a plain: dA = g op(b)ᵀ   a transposed: dA = op(b) gᵀ   b plain: dB = op(a)ᵀ g   b transposed: dB = gᵀ op(a)
 */
function productGradients(g: Value, a: Value, b: Value, { transA, transB, alpha }: Product): readonly [Value, Value] {
  const da = transA ? op.fusedMatMul(b, g, { transA: transB, transB: true, alpha }) : op.fusedMatMul(g, b, { transB: !transB, alpha });
  if (!transA && b.rank === 2) {
    const [left, right] = [rows(a), rows(g)];
    const same = op.withShape(right, [left.shape[0]!, right.shape[1]!]);
    return [da, transB ? productOverRows(same, left, alpha) : productOverRows(left, same, alpha)];
  }
  const db = transB ? op.fusedMatMul(g, a, { transA: true, transB: transA, alpha }) : op.fusedMatMul(a, g, { transA: !transA, alpha });
  return [unbroadcast(da, a), unbroadcast(db, b)];
}

/** Derivatives of matrix products; g is the gradient of the product. */
export const linearRules = {
  FusedMatMul: rule((g, node) => {
    const [transA, transB] = [integerOf(node, "transA") === 1, integerOf(node, "transB") === 1];
    return productGradients(g, inputOf(node, 0), inputOf(node, 1), { transA, transB, alpha: floatOf(node, "alpha") });
  }),
  MatMul: rule((g, node) => productGradients(g, inputOf(node, 0), inputOf(node, 1), { transA: false, transB: false, alpha: 1 })),
} satisfies Record<string, Rule>;
