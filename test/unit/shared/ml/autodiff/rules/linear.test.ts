import { linearRules } from "../../../../../../services/shared/ml/autodiff/rules/linear.js";
import * as op from "../../../../../../services/shared/ml/graph/ops/index.js";
import { describeGrads, type GradCases, named, spaced } from "../../../../../support/graph/check-grads.js";

const a = (...dims: readonly number[]) => spaced(dims);
const b = (...dims: readonly number[]) => spaced(dims, [-1, 2], 2n);

/** Every way of transposing, with and without a factor, for operands whose last two axes are [3, 4] and [4, 2] after it. */
const transposed: GradCases = Object.fromEntries(
  [
    { leading: "a matrix each", left: [], right: [] },
    { leading: "a batch each", left: [2], right: [2] },
    { leading: "a batch by a matrix", left: [2], right: [] },
    { leading: "a matrix by a batch", left: [], right: [2] },
    { leading: "batches that are repeated", left: [2, 1], right: [3] },
  ].flatMap(({ leading, left, right }) =>
    [false, true].flatMap((transA) =>
      [false, true].map((transB) => {
        const options = { transA, transB, alpha: transA === transB ? 0.5 : 1 };
        const inputs = [a(...left, ...(transA ? [4, 3] : [3, 4])), b(...right, ...(transB ? [2, 4] : [4, 2]))];
        return [`${leading}, ${JSON.stringify(options)}`, [inputs, (x, y) => op.fusedMatMul(x, y, options)]] satisfies [
          string,
          GradCases[string],
        ];
      }),
    ),
  ),
);

describeGrads(linearRules, {
  FusedMatMul: {
    ...transposed,
    "rows and batch of named sizes": [
      [named(a(2, 3, 4), ["B", "T", 4]), b(2, 4)],
      (x, w) => op.fusedMatMul(x, w, { transB: true, alpha: 2 }),
    ],
  },
  MatMul: {
    matrices: [[a(3, 4), b(4, 2)], op.matMul],
    "a batch by a matrix": [[a(2, 3, 4), b(4, 2)], op.matMul],
    "a batch by a batch": [[a(2, 3, 4), b(2, 4, 2)], op.matMul],
    "a matrix by a batch": [[a(3, 4), b(2, 4, 2)], op.matMul],
    "batches that are repeated": [[a(2, 1, 3, 4), b(3, 4, 2)], op.matMul],
    "rows and batch of named sizes": [[named(a(2, 3, 4), ["B", "T", 4]), b(4, 2)], op.matMul],
    "an inner size that has a name": [[named(a(2, 3, 4), ["B", "T", "K"]), named(b(4, 2), ["K", 2])], op.matMul],
    "a matrix by itself": [[a(3, 3)], (x) => op.matMul(x, x)],
  },
});
