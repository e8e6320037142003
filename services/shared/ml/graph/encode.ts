import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { byteLengthOf, bytesOf, type Constant } from "./file-tensor.js";
import { type Attribute, type Dim, type Graph, type Node, Value } from "./graph.js";
import { isConversion, lowered, partsOf, widenedOutput } from "./lower.js";
import { liveParts } from "./prune.js";
import { dtypeInfo, type Tensor } from "./tensor.js";

/** Opsets that every graph of ours imports: the standard one, and ONNX Runtime's contrib operators. */
const opsets = [
  { domain: "", version: 21 },
  { domain: "com.microsoft", version: 1 },
];
const irVersion = 10;

/** Where a constant's bytes are that are not in the model. */
export interface Place {
  /** A file, relative to the folder that the runtime is told. */
  readonly location: string;
  readonly offset: number;
  /** Where the same file has it as the runtime lays it out. */
  readonly packed?: Packed;
}

/** A constant as the runtime lays it out for a product. What it would lay out itself it then takes from there. */
export interface Packed {
  /** How the runtime names what it lays out. */
  readonly key: string;
  readonly offset: number;
  readonly bytes: number;
}

/** A product that reads a constant as its second operand. */
export interface Product {
  readonly op: string;
  readonly transB: boolean;
}

/** What a graph has a constant for. */
export interface ConstantUse {
  /** The constant's name in the graph. */
  readonly name: string;
  /** The ways in which products read it as their second operand, each once. */
  readonly products: readonly Product[];
}

/** Says where a constant's bytes are, or puts them there; undefined: they are written into the model. */
export type Placing = (constant: Constant, use: ConstantUse) => Place | undefined;

/** What is known of a graph and its bodies while they are written. */
interface Writing {
  readonly place: Placing | undefined;
  /** Names of all values that nodes read so far. */
  readonly reads: Set<string>;
  /** The products that read a value of this name as their second operand. */
  readonly products: Map<string, readonly Product[]>;
  /** Names that values have as outputs. */
  readonly outputNames: Map<string, string>;
}

/**
 * Serialises what a graph's outputs depend on as an ONNX ModelProto (field numbers from onnx.proto, ONNX 1.17).
 *
 * An output is the very value that its node makes. If its array is one that the same run reads as an input, it is written
 * when that node runs, not when the run ends.
 *
 * @param place where constants lie; without it everything is in the result, which must stay below 2 GiB
 * @param list name of one more output, the first of them: an empty list of tensors
 */
export function encodeModel(graph: Graph, place?: Placing, list?: string): Uint8Array {
  const model = new BinaryWriter();
  model.tag(1, WireType.Varint).int64(irVersion);
  model.tag(2, WireType.LengthDelimited).string("retort");
  message(model, 7, (w) => {
    if (list) writeEmptyList(w, list);
    writeGraph(w, graph, { place, reads: new Set(), products: new Map(), outputNames: new Map() });
  });
  for (const { domain, version } of opsets) {
    message(model, 8, (w) => w.tag(1, WireType.LengthDelimited).string(domain).tag(2, WireType.Varint).int64(version));
  }
  return model.finish();
}

function writeGraph(w: BinaryWriter, graph: Graph, writing: Writing): void {
  const { nodes } = liveParts(graph);
  const named = nameOutputs(graph, nodes, writing.outputNames);
  for (const node of inRunningOrder(graph, nodes)) message(w, 1, (n) => writeNode(n, node, writing));
  // What no node of this graph makes, or what has a name as an output already, is copied.
  for (const { name, value } of graph.outputs.filter((output) => !named.has(output.name)))
    message(w, 1, (n) => writeNode(n, widenedOutput(graph, value, name) ?? identity(value, name), writing));
  w.tag(2, WireType.LengthDelimited).string(graph.name);
  const parts = [...graph.initializers].flatMap(([name, { tensor }]) =>
    partsOf(name, tensor)
      .filter(([part]) => writing.reads.has(part))
      .map(([part, constant]) => ({
        part,
        constant,
        place: writing.place?.(constant, { name, products: writing.products.get(part) ?? [] }),
      })),
  );
  // All with the first of their file: the runtime maps them when it comes to them, and so they lie together.
  const packed = parts.flatMap(({ place }) => (place?.packed ? [place.packed] : []));
  const carrier = parts.find(({ place }) => place?.packed);
  for (const each of parts) message(w, 5, (t) => writeTensor(t, each.constant, each.part, each.place, each === carrier ? packed : []));
  for (const value of graph.inputs) message(w, 11, (v) => writeValueInfo(v, value.name, value));
  for (const { name, value } of graph.outputs) message(w, 12, (v) => writeValueInfo(v, name, value));
}

/**
 * The nodes as the runtime is given them. It goes from the outputs backwards, and of what a node reads it computes first what
 * stands last: what needs nothing that has to be computed, as a converted constant or zeros to add to, stands first, so that each is made
 * when all else that its reader needs is there, and not all of them before anything.
 */
function inRunningOrder(graph: Graph, nodes: readonly Node[]): Node[] {
  const written = nodes.flatMap((node) => lowered(graph, node));
  const computed = new Set(written.flatMap(({ outputs }) => outputs.map(({ name }) => name)));
  const first = new Set<Node>();
  for (const node of written) {
    const needsNothing = fills.has(node.op) && !node.inputs.some((input) => input && computed.has(input.name));
    if (!needsNothing && !isConversion(graph, node)) continue;
    first.add(node);
    for (const { name } of node.outputs) computed.delete(name);
  }
  return [...first, ...written.filter((node) => !first.has(node))];
}

/** Operators that make arrays of shapes alone. */
const fills: ReadonlySet<string> = new Set(["ConstantOfShape", "Shape"]);

/** A node that makes an empty list of float32 tensors, and the output that it is. */
function writeEmptyList(w: BinaryWriter, name: string): void {
  message(w, 1, (n) => n.tag(2, WireType.LengthDelimited).string(name).tag(4, WireType.LengthDelimited).string("SequenceEmpty"));
  message(w, 12, (v) => {
    v.tag(1, WireType.LengthDelimited).string(name);
    message(v, 2, (type) =>
      message(type, 4, (list) =>
        message(list, 1, (element) => message(element, 1, (tensor) => tensor.tag(1, WireType.Varint).int32(dtypeInfo.float32.code))),
      ),
    );
  });
}

/** Gives values that nodes of a graph make the names of its outputs. @returns the outputs that have what they need by that */
function nameOutputs(graph: Graph, nodes: readonly Node[], outputNames: Map<string, string>): ReadonlySet<string> {
  const made = new Set(nodes.flatMap(({ outputs }) => outputs.map(({ name }) => name)));
  const named = new Set<string>();
  for (const { name, value } of graph.outputs) {
    if (!made.has(value.name) || outputNames.has(value.name)) continue;
    outputNames.set(value.name, name);
    named.add(name);
  }
  return named;
}

const identity = (value: Value, name: string): Node => ({
  ...{ op: "Identity", domain: "", inputs: [value], attributes: {} },
  outputs: [new Value(value.graph, name, value.dtype, value.shape)],
});

function writeNode(w: BinaryWriter, node: Node, writing: Writing): void {
  const { reads, outputNames } = writing;
  const product = productOf(node);
  if (product) writing.products.set(product.operand, distinct([...(writing.products.get(product.operand) ?? []), product.read]));
  for (const input of node.inputs) {
    if (input) reads.add(input.name);
    w.tag(1, WireType.LengthDelimited).string(input ? (outputNames.get(input.name) ?? input.name) : "");
  }
  for (const { name } of node.outputs) w.tag(2, WireType.LengthDelimited).string(outputNames.get(name) ?? name);
  w.tag(4, WireType.LengthDelimited).string(node.op === "StopGradient" ? "Identity" : node.op);
  for (const [name, attribute] of Object.entries(node.attributes)) message(w, 5, (a) => writeAttribute(a, name, attribute, writing));
  if (node.domain) w.tag(7, WireType.LengthDelimited).string(node.domain);
}

/** What a product reads as its second operand, and how; undefined for any other node. */
function productOf({ op, inputs, attributes }: Node): { readonly operand: string; readonly read: Product } | undefined {
  const operand = inputs[1]?.name;
  return operand && products.has(op) ? { operand, read: { op, transB: Boolean(attributes.transB) } } : undefined;
}

const products: ReadonlySet<string> = new Set(["FusedMatMul", "Gemm", "MatMul"]);

const distinct = (reads: readonly Product[]): readonly Product[] =>
  reads.filter(({ op, transB }, i) => reads.findIndex((other) => other.op === op && other.transB === transB) === i);

function writeAttribute(w: BinaryWriter, name: string, attribute: Attribute, writing: Writing): void {
  w.tag(1, WireType.LengthDelimited).string(name);
  const type = (code: number) => w.tag(20, WireType.Varint).int32(code);
  if (typeof attribute === "number") {
    w.tag(3, WireType.Varint).int64(attribute);
    type(2);
  } else if (typeof attribute === "string") {
    w.tag(4, WireType.LengthDelimited).string(attribute);
    type(3);
  } else if (Array.isArray(attribute)) {
    for (const i of attribute as readonly number[]) w.tag(8, WireType.Varint).int64(i);
    type(7);
  } else if ("float" in attribute) {
    w.tag(2, WireType.Bit32).float(attribute.float);
    type(1);
  } else if ("nodes" in attribute) {
    message(w, 6, (g) => writeGraph(g, attribute, writing));
    type(5);
  } else {
    message(w, 5, (t) => writeTensor(t, attribute as Tensor));
    type(4);
  }
}

function writeTensor(w: BinaryWriter, constant: Constant, name?: string, place?: Place, packed: readonly Packed[] = []): void {
  for (const dim of constant.dims) w.tag(1, WireType.Varint).int64(dim);
  w.tag(2, WireType.Varint).int32(dtypeInfo[constant.dtype].code);
  if (name) w.tag(8, WireType.LengthDelimited).string(name);
  if (!place) {
    w.tag(9, WireType.LengthDelimited).bytes(bytesOf(constant));
    return;
  }
  const entries: [string, string][] = [
    ["location", place.location],
    ["offset", String(place.offset)],
    ["length", String(byteLengthOf(constant))],
    // The last one is a checksum, which the runtime doesn't compare.
    ...packed.map(({ key, offset, bytes }, i): [string, string] => [`prepacked_${i}`, `${key}|${offset};${bytes};0`]),
  ];
  for (const [key, value] of entries)
    message(w, 13, (entry) => entry.tag(1, WireType.LengthDelimited).string(key).tag(2, WireType.LengthDelimited).string(value));
  w.tag(14, WireType.Varint).int32(1);
}

function writeValueInfo(w: BinaryWriter, name: string, value: Value): void {
  w.tag(1, WireType.LengthDelimited).string(name);
  message(w, 2, (type) =>
    message(type, 1, (tensor) => {
      tensor.tag(1, WireType.Varint).int32(dtypeInfo[value.dtype].code);
      message(tensor, 2, (shape) => {
        for (const dim of value.shape) message(shape, 1, (d) => writeDim(d, dim));
      });
    }),
  );
}

function writeDim(w: BinaryWriter, dim: Dim): void {
  if (typeof dim === "number") w.tag(1, WireType.Varint).int64(dim);
  else w.tag(2, WireType.LengthDelimited).string(dim);
}

function message(w: BinaryWriter, field: number, write: (inner: BinaryWriter) => void): void {
  w.tag(field, WireType.LengthDelimited).fork();
  write(w);
  w.join();
}
