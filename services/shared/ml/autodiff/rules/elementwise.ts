import type { Shape, Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import type { DType } from "../../graph/tensor.js";
import { inputOf, outputOf, type Rule, rule } from "../rule.js";
import { unbroadcast } from "../unbroadcast.js";

const floats: readonly DType[] = ["bfloat16", "float16", "float32", "float64"];

/** A rule for two broadcast operands from the gradients before summation over broadcast axes. */
function binary(derive: (g: Value, a: Value, b: Value, y: Value) => readonly [Value, Value]): Rule {
  return rule((g, node) => {
    const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
    const [da, db] = derive(g, a, b, outputOf(node, 0));
    return [unbroadcast(da, a), unbroadcast(db, b)];
  });
}

/** A rule for one operand: dx from g, x and y. */
function unary(derive: (g: Value, x: Value, y: Value) => Value): Rule {
  return rule((g, node) => [derive(g, inputOf(node, 0), outputOf(node, 0))]);
}

/** g · x. What a sum has spread over the shape that x has already is read as it was before: it needn't be there repeated. */
function timesSpread(g: Value, x: Value): Value {
  const narrow = g.producer?.op === "Expand" && isSame(g.shape, x.shape) ? inputOf(g.producer, 0) : g;
  return op.mul(narrow, x);
}

const isSame = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((dim, axis) => dim === b[axis]);

/** Chooses g where `mask` holds, else zero. */
const masked = (mask: Value, g: Value): Value => op.where(mask, g, 0);

/** Derivatives of the operators that work element by element; g is the gradient of the result y. */
export const elementwiseRules = {
  // d|x| = sign(x)
  Abs: unary((g, x) => op.mul(g, op.sign(x))),
  // d(a+b) = da + db
  Add: binary((g) => [g, g]),
  // identity between float types
  Cast: unary((g, x) => (floats.includes(x.dtype) ? op.cast(g, x.dtype) : g)),
  // d(a/b) = da/b − (a/b) db/b
  Div: binary((g, _a, b, y) => {
    const da = op.div(g, b);
    return [da, op.neg(op.mul(da, y))];
  }),
  // erf' = 2/√π e^(−x²)
  Erf: unary((g, x) => op.mul(op.mul(g, 2 / Math.sqrt(Math.PI)), op.exp(op.neg(op.mul(x, x))))),
  // d eˣ = eˣ
  Exp: unary((g, _x, y) => op.mul(g, y)),
  // d log x = 1/x
  Log: unary((g, x) => op.div(g, x)),
  // the larger operand gets the gradient; the first one on a tie
  Max: binary((g, a, b) => {
    const first = op.greaterOrEqual(a, b);
    return [masked(first, g), masked(op.not(first), g)];
  }),
  // the smaller operand gets the gradient; the first one on a tie
  Min: binary((g, a, b) => {
    const first = op.lessOrEqual(a, b);
    return [masked(first, g), masked(op.not(first), g)];
  }),
  // d(ab) = b da + a db
  Mul: binary((g, a, b) => [timesSpread(g, b), timesSpread(g, a)]),
  Neg: unary((g) => op.neg(g)),
  // d aᵇ = b aᵇ⁻¹ da; no derivative in the exponent
  Pow: rule((g, node) => {
    const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
    return [unbroadcast(op.mul(g, op.mul(b, op.pow(a, op.sub(b, 1)))), a), undefined];
  }),
  // 1 where x is positive, else 0
  Relu: unary((g, x) => masked(op.greater(x, 0), g)),
  // σ' = σ(1−σ)
  Sigmoid: unary((g, _x, y) => op.mul(g, op.mul(y, op.sub(1, y)))),
  // d√x = 1/(2√x)
  Sqrt: unary((g, _x, y) => op.div(op.mul(g, 0.5), y)),
  // d(a−b) = da − db
  Sub: binary((g) => [g, op.neg(g)]),
  // tanh' = 1 − tanh²
  Tanh: unary((g, _x, y) => op.mul(g, op.sub(1, op.mul(y, y)))),
  // the chosen operand gets the gradient
  Where: rule((g, node) => {
    const [condition, a, b] = [inputOf(node, 0), inputOf(node, 1), inputOf(node, 2)];
    return [undefined, unbroadcast(masked(condition, g), a), unbroadcast(masked(op.not(condition), g), b)];
  }),
} satisfies Record<string, Rule>;
