import { RetortError } from "../../../base/errors.js";
import { type Graph, graphOf, type Value } from "../graph.js";
import { type DType, dtypeInfo } from "../tensor.js";
import { broadcast } from "./broadcast.js";

/** A number stands for a scalar constant of the other operand's float type (int32/int64 beside an integer operand is written out by the caller). */
export type Operand = Value | number;

function unary(op: string, x: Value, dtype: DType = x.dtype): Value {
  return x.graph.node(op, [x], [{ dtype, shape: x.shape }])[0]!;
}

function binary(op: string, a: Operand, b: Operand, dtype?: DType): Value {
  const values = [a, b].filter((x) => typeof x !== "number");
  const graph = graphOf(...values);
  const { dtype: own = "float32" } = values[0] ?? {};
  const scalar = own === "float16" || own === "bfloat16" ? own : "float32";
  const [left, right] = [a, b].map((x) => (typeof x === "number" ? graph.scalar(x, scalar) : x)) as [Value, Value];
  if (left.dtype !== right.dtype) throw new RetortError("Internal", `${op}: operands are ${left.dtype} and ${right.dtype}`);
  return graph.node(op, [left, right], [{ dtype: dtype ?? left.dtype, shape: broadcast(op, left.shape, right.shape) }])[0]!;
}

export const add = (a: Operand, b: Operand): Value => binary("Add", a, b);
export const sub = (a: Operand, b: Operand): Value => binary("Sub", a, b);
export const mul = (a: Operand, b: Operand): Value => binary("Mul", a, b);
export const div = (a: Operand, b: Operand): Value => binary("Div", a, b);
export const pow = (a: Operand, b: Operand): Value => binary("Pow", a, b);
export const max = (a: Operand, b: Operand): Value => binary("Max", a, b);
export const min = (a: Operand, b: Operand): Value => binary("Min", a, b);
export const equal = (a: Operand, b: Operand): Value => binary("Equal", a, b, "bool");
export const less = (a: Operand, b: Operand): Value => binary("Less", a, b, "bool");
export const lessOrEqual = (a: Operand, b: Operand): Value => binary("LessOrEqual", a, b, "bool");
export const greater = (a: Operand, b: Operand): Value => binary("Greater", a, b, "bool");
export const greaterOrEqual = (a: Operand, b: Operand): Value => binary("GreaterOrEqual", a, b, "bool");
export const and = (a: Value, b: Value): Value => binary("And", a, b, "bool");

export const abs = (x: Value): Value => unary("Abs", x);
export const erf = (x: Value): Value => unary("Erf", x);
/** One node for all who ask it of the same value: a loss, its gradient and its reports read the same probabilities. */
export const exp = (x: Value): Value => x.graph.once(`Exp ${x.name}`, () => unary("Exp", x));
export const log = (x: Value): Value => unary("Log", x);
export const neg = (x: Value): Value => unary("Neg", x);
export const not = (x: Value): Value => unary("Not", x, "bool");
export const relu = (x: Value): Value => unary("Relu", x);
export const sigmoid = (x: Value): Value => unary("Sigmoid", x);
export const sign = (x: Value): Value => unary("Sign", x);
export const sqrt = (x: Value): Value => unary("Sqrt", x);
export const tanh = (x: Value): Value => unary("Tanh", x);

/** Converts the elements to `dtype`; the value itself when it has that type already. */
export function cast(x: Value, dtype: DType): Value {
  return x.dtype === dtype ? x : castIn(x.graph, x, dtype);
}

/** The same, in a graph that sees the value. */
export const castIn = (graph: Graph, x: Value, dtype: DType): Value =>
  graph.node("Cast", [x], [{ dtype, shape: x.shape }], { to: dtypeInfo[dtype].code })[0]!;

/** `condition ? a : b`, elementwise. */
export function where(condition: Value, a: Operand, b: Operand): Value {
  const graph = graphOf(condition, ...[a, b].filter((x) => typeof x !== "number"));
  const [yes, no] = [a, b].map((x) => (typeof x === "number" ? graph.scalar(x) : x)) as [Value, Value];
  if (yes.dtype !== no.dtype) throw new RetortError("Internal", `Where: operands are ${yes.dtype} and ${no.dtype}`);
  const shape = broadcast("Where", condition.shape, yes.shape, no.shape);
  return graph.node("Where", [condition, yes, no], [{ dtype: yes.dtype, shape }])[0]!;
}

/** The sum of values of one shape; of one value, that value. @throws Internal of no value at all */
export function sum(terms: readonly Value[]): Value {
  const [first, ...others] = terms;
  if (!first) throw new RetortError("Internal", "Sum: there is nothing to add up");
  if (others.length === 0) return first;
  return graphOf(...terms).node("Sum", [...terms], [{ dtype: first.dtype, shape: first.shape }])[0]!;
}

/** The value itself, through which no gradient flows. Identity with a mark that only differentiation reads. */
export function stopGradient(x: Value): Value {
  return x.graph.node("StopGradient", [x], [{ dtype: x.dtype, shape: x.shape }])[0]!;
}
