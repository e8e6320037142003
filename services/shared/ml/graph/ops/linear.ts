import { RetortError } from "../../../base/errors.js";
import { type Dim, type Graph, graphOf, type HalfDtype, type Shape, type Value } from "../graph.js";
import { broadcast } from "./broadcast.js";
import { cast, castIn } from "./elementwise.js";

function matMulShape(op: string, a: Shape, b: Shape): Shape {
  const [[rows, inner], [outer, columns]] = [a.slice(-2), b.slice(-2)];
  if (rows === undefined || inner === undefined || columns === undefined || inner !== outer)
    throw new RetortError("Internal", `${op}: cannot multiply [${a}] by [${b}]`);
  return [...broadcast(op, a.slice(0, -2), b.slice(0, -2)), rows, columns];
}

const swapLast = (shape: Shape): Dim[] => [...shape.slice(0, -2), ...shape.slice(-2).reverse()];

/**
 * A product, in the half precision that the graph asks for: see `Graph.withProductsIn`.
 *
 * @param make the product of two values of one element type
 */
function inAskedPrecision(a: Value, b: Value, make: (a: Value, b: Value) => Value): Value {
  const graph = graphOf(a, b);
  const dtype = graph.productDtype;
  if (!dtype || (a.dtype !== "float32" && b.dtype !== "float32")) return make(a, b);
  return cast(make(rounded(graph, a, dtype), rounded(graph, b, dtype)), "float32");
}

/** Once for all products of a graph that read the value; where they are, since differentiating a body looks at its own nodes. */
function rounded(graph: Graph, x: Value, dtype: HalfDtype): Value {
  if (x.dtype !== "float32") return x;
  return graph.stored(x, dtype) ?? graph.once(`${dtype} ${x.name}`, () => castIn(graph, x, dtype));
}

/** Matrix product over the last two axes; leading axes broadcast. */
export const matMul = (a: Value, b: Value): Value => inAskedPrecision(a, b, plainProduct);

function plainProduct(a: Value, b: Value): Value {
  return graphOf(a, b).node("MatMul", [a, b], [{ dtype: a.dtype, shape: matMulShape("MatMul", a.shape, b.shape) }])[0]!;
}

/** Which operands of a product have their last two axes swapped (default neither), and its factor (default 1). */
export interface FusedMatMulOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly alpha?: number;
}

/** alpha · op(a) · op(b), where op swaps the last two axes if asked (com.microsoft.FusedMatMul): no transposed copy is made. */
export const fusedMatMul = (a: Value, b: Value, options: FusedMatMulOptions = {}): Value =>
  inAskedPrecision(a, b, (x, y) => plainFusedMatMul(x, y, options));

function plainFusedMatMul(a: Value, b: Value, { transA = false, transB = false, alpha = 1 }: FusedMatMulOptions): Value {
  const shape = matMulShape("FusedMatMul", transA ? swapLast(a.shape) : a.shape, transB ? swapLast(b.shape) : b.shape);
  const attributes = { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: alpha } };
  return graphOf(a, b).node("FusedMatMul", [a, b], [{ dtype: a.dtype, shape }], attributes, "com.microsoft")[0]!;
}

/** a · b + c for matrices a [M, K] and b [K, N]; c broadcasts to [M, N]. */
export function gemm(a: Value, b: Value, c: Value): Value {
  return graphOf(a, b, c).node("Gemm", [a, b, c], [{ dtype: a.dtype, shape: matMulShape("Gemm", a.shape, b.shape) }])[0]!;
}
