import { byteLengthOf, type Constant, type FileTensor, isHalf, isInFile } from "./file-tensor.js";
import { type Graph, type Node, Value } from "./graph.js";
import { dtypeInfo } from "./tensor.js";

/**
 * Name of a constant in a file as rows are taken from it. The runtime lays a constant out again for products, and then keeps
 * nothing of the file; were the rows taken from the same one, it would keep both.
 */
const rowsName = (name: string): string => `${name}.rows`;

/** Name of a block of a matrix's rows. */
const blockName = (name: string, block: number): string => `${name}.block.${block}`;

/** Name of the constant that a block, or whatever else has a name, is of. */
const wholeName = (name: string): string => name.replace(/\.block\.\d+$/, "");

/** Most elements of a matrix of half precision that are widened at once where they can be taken by rows: 16 MiB of float32. */
const mostWidened = 2 ** 22;

/** Names of a quantised matrix's parts. */
const quantisedNames = (name: string): { readonly values: string; readonly scales: string } => ({
  values: `${name}.int8`,
  scales: `${name}.scales`,
});

/** The names that {@link lowered} nodes may read a constant by, with what each of them stands for. */
export function partsOf(name: string, constant: Constant): (readonly [string, Constant])[] {
  if (!isInFile(constant)) return [[name, constant]];
  const { quantised } = constant;
  const names = quantisedNames(name);
  const inEightBits = quantised ? ([[names.values, quantised.values] as const, [names.scales, quantised.scales] as const] as const) : [];
  const blocks = rowBlocks(constant).map((block, i) => [blockName(name, i), block] as const);
  return [[name, constant], [rowsName(name), constant], ...inEightBits, ...blocks];
}

/** The blocks of rows, alike but for the last, that a matrix of half precision is widened in; none if it is widened whole. */
function rowBlocks({ quantised, ...whole }: FileTensor): FileTensor[] {
  const [rows = 0, width = 0, ...more] = whole.dims;
  if (!isHalf(whole.dtype) || more.length > 0 || rows * width <= mostWidened) return [];
  const each = Math.ceil(rows / Math.ceil(rows / Math.max(1, Math.floor(mostWidened / width))));
  const rowBytes = byteLengthOf({ ...whole, dims: [1, width] });
  return Array.from({ length: Math.ceil(rows / each) }, (_, i) => ({
    ...whole,
    dims: [Math.min(each, rows - i * each), width],
    offset: whole.offset + i * each * rowBytes,
  }));
}

/**
 * A node as the runtime is given it, where it reads constants that lie in a file: half precision is converted to float32
 * right before, and a product whose second operand is there in 8 bits is computed from these. The conversion stands in the
 * graph of the node that reads, a Loop's body too: no widened weight outlives its use.
 */
export function lowered(graph: Graph, node: Node): readonly Node[] {
  const stored = node.inputs.map((input) => (input ? storedAt(graph, input.name) : undefined));
  // One that is read as it lies there.
  const isPlain = (i: number) => isHalf(node.inputs[i]?.dtype ?? "float32");
  const product = productOf(node, stored[1]);
  if (product) return [product];
  const blocks = stored[1] && !isPlain(1) ? byBlocks(graph, node, stored[1]) : [];
  if (blocks.length > 0) return blocks;
  const isWidened = (constant: FileTensor | undefined, i: number): boolean =>
    constant !== undefined && isHalf(constant.dtype) && !isPlain(i);
  const [table] = stored;
  if (node.op === "Gather" && table) return rowsOf(graph, node, table);
  if (!stored.some(isWidened)) return [node];
  const casts: Node[] = [];
  const inputs = node.inputs.map((input, i) => {
    const constant = stored[i];
    if (!input || !isWidened(constant, i)) return input;
    const made = castOf(graph, input);
    casts.push(made);
    return made.outputs[0];
  });
  return [...casts, { ...node, inputs }];
}

/** Gives a constant of half precision a float32 output of this name; undefined for any other value. */
export function widenedOutput(graph: Graph, value: Value, name: string): Node | undefined {
  const constant = storedAt(graph, value.name);
  if (!constant || !isHalf(constant.dtype)) return undefined;
  return cast(value, new Value(graph, name, "float32", value.shape));
}

/** Whether a node converts a constant that lies in a file. */
export const isConversion = (graph: Graph, { op, inputs }: Node): boolean =>
  op === "Cast" && inputs[0] !== undefined && storedAt(graph, wholeName(inputs[0].name)) !== undefined;

function storedAt(graph: Graph, name: string): FileTensor | undefined {
  const constant = graph.constantAt(name);
  return constant && isInFile(constant) ? constant : undefined;
}

const cast = (from: Value, to: Value): Node => ({
  ...{ op: "Cast", domain: "", inputs: [from], outputs: [to] },
  attributes: { to: dtypeInfo.float32.code },
});

const castOf = (graph: Graph, value: Value): Node => cast(value, new Value(graph, graph.fresh("widened"), "float32", value.shape));

/** Rows are taken out first: only these are widened. */
function rowsOf(graph: Graph, gather: Node, { dtype, dims }: FileTensor): Node[] {
  const [table, ids] = gather.inputs as readonly [Value, Value];
  const [y] = gather.outputs as readonly [Value];
  const inputs = [new Value(table.graph, rowsName(table.name), dtype, dims), ids];
  if (!isHalf(dtype) || isHalf(table.dtype)) return [{ ...gather, inputs }];
  const rows = new Value(graph, graph.fresh("rows"), dtype, y.shape);
  return [{ ...gather, inputs, outputs: [rows] }, cast(rows, y)];
}

/**
 * x · Wᵀ or x · W of a large W of half precision, block by block of its rows: the widened one would be more than all else. None
 * for any other node.
 */
function byBlocks(graph: Graph, product: Node, stored: FileTensor): Node[] {
  const { op, inputs, outputs, attributes } = product;
  const [x, w] = inputs as readonly [Value, Value];
  const [y] = outputs as readonly [Value];
  if (op !== "FusedMatMul" || attributes.transA || x.name === w.name) return [];
  const blocks = rowBlocks(stored);
  if (blocks.length === 0) return [];
  const cut = (from: Value, columns: number) => new Value(graph, graph.fresh("block"), from.dtype, [...from.shape.slice(0, -1), columns]);
  const operands = attributes.transB ? blocks.map(() => x) : blocks.map(({ dims }) => cut(x, dims[0] as number));
  const parts = blocks.map(({ dims }) => (attributes.transB ? cut(y, dims[0] as number) : cut(y, dims[1] as number)));
  const products = blocks.flatMap(({ dtype, dims }, i) => {
    const widened = castOf(graph, new Value(w.graph, blockName(w.name, i), dtype, dims));
    return [widened, { ...product, inputs: [operands[i], ...widened.outputs], outputs: [parts[i] as Value] }];
  });
  const common = { domain: "", inputs: parts, outputs };
  if (attributes.transB) return [...products, { ...common, op: "Concat", attributes: { axis: -1 } }];
  const split = { op: "Split", domain: "", inputs: [x], outputs: operands, attributes: { axis: -1, num_outputs: blocks.length } };
  return [split, ...products, { ...common, op: "Sum", attributes: {} }];
}

/** x · W of a W that is there in 8 bits; undefined for any other node. */
function productOf({ op, inputs, outputs, attributes }: Node, stored: FileTensor | undefined): Node | undefined {
  const { transA, transB, alpha } = attributes;
  const quantised = stored?.quantised;
  const isPlain = op === "FusedMatMul" && !transA && isOne(alpha);
  const [x, w] = inputs;
  if (!quantised || !isPlain || Boolean(transB) !== quantised.transB || !x || !w || x.name === w.name) return undefined;
  const { outputs: N, inputs: K, blockSize, values, scales } = quantised;
  const names = quantisedNames(w.name);
  const parts = [new Value(w.graph, names.values, "uint8", values.dims), new Value(w.graph, names.scales, "float32", scales.dims)];
  const form = { K, N, bits: 8, block_size: blockSize, accuracy_level: 4 };
  return { op: "MatMulNBits", domain: "com.microsoft", inputs: [x, ...parts], outputs, attributes: form };
}

const isOne = (alpha: Node["attributes"][string] | undefined): boolean =>
  alpha === undefined || (typeof alpha === "object" && "float" in alpha && alpha.float === 1);
