import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Attribute, Dim, Graph, Node, Value } from "./graph.js";
import { liveParts } from "./prune.js";
import { dtypeInfo, type Tensor } from "./tensor.js";

/** Opsets that every graph of ours imports: the standard one, and ONNX Runtime's contrib operators. */
const opsets = [
  { domain: "", version: 21 },
  { domain: "com.microsoft", version: 1 },
];
const irVersion = 10;

/** A file beside the model that holds its large tensors: a protobuf message must stay below 2 GiB. */
export interface ExternalData {
  /** The file's name, relative to the model's. */
  readonly location: string;
  /** Smaller tensors stay in the model. */
  readonly minBytes: number;
  /** Takes a tensor's bytes and says where in the file they are. */
  readonly store: (bytes: Uint8Array) => number;
}

/**
 * Serialises what a graph's outputs depend on as an ONNX ModelProto (field numbers from onnx.proto, ONNX 1.17).
 *
 * @param external where large initializers go; without it everything is in the result
 */
export function encodeModel(graph: Graph, external?: ExternalData): Uint8Array {
  const model = new BinaryWriter();
  model.tag(1, WireType.Varint).int64(irVersion);
  model.tag(2, WireType.LengthDelimited).string("retort");
  message(model, 7, (w) => writeGraph(w, graph, { external, names: new Map() }));
  for (const { domain, version } of opsets) {
    message(model, 8, (w) => w.tag(1, WireType.LengthDelimited).string(domain).tag(2, WireType.Varint).int64(version));
  }
  return model.finish();
}

/** How a graph and those within it are written. */
interface Form {
  readonly external: ExternalData | undefined;
  /** The names that values go by as a graph's outputs. */
  readonly names: Map<string, string>;
}

function writeGraph(w: BinaryWriter, graph: Graph, form: Form): void {
  const { nodes, reads } = liveParts(graph);
  const { names, external } = form;
  // An output has a name of its own: what a node of this graph makes takes it, an Identity gives it to what is made elsewhere.
  const copied = graph.outputs.filter(({ name, value }) => {
    if (!value.producer || value.graph !== graph || names.has(value.name)) return true;
    names.set(value.name, name);
    return false;
  });
  for (const node of nodes) message(w, 1, (n) => writeNode(n, node, form));
  for (const { name, value } of copied) {
    message(w, 1, (n) => {
      n.tag(1, WireType.LengthDelimited).string(nameOf(value, form)).tag(2, WireType.LengthDelimited).string(name);
      n.tag(4, WireType.LengthDelimited).string("Identity");
    });
  }
  w.tag(2, WireType.LengthDelimited).string(graph.name);
  for (const [name, { tensor }] of graph.initializers) if (reads.has(name)) message(w, 5, (t) => writeTensor(t, tensor, name, external));
  for (const value of graph.inputs) message(w, 11, (v) => writeValueInfo(v, value.name, value));
  for (const { name, value } of graph.outputs) message(w, 12, (v) => writeValueInfo(v, name, value));
}

const nameOf = (value: Value, { names }: Form): string => names.get(value.name) ?? value.name;

function writeNode(w: BinaryWriter, node: Node, form: Form): void {
  for (const input of node.inputs) w.tag(1, WireType.LengthDelimited).string(input ? nameOf(input, form) : "");
  for (const output of node.outputs) w.tag(2, WireType.LengthDelimited).string(nameOf(output, form));
  w.tag(4, WireType.LengthDelimited).string(node.op === "StopGradient" ? "Identity" : node.op);
  for (const [name, attribute] of Object.entries(node.attributes)) message(w, 5, (a) => writeAttribute(a, name, attribute, form));
  if (node.domain) w.tag(7, WireType.LengthDelimited).string(node.domain);
}

function writeAttribute(w: BinaryWriter, name: string, attribute: Attribute, form: Form): void {
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
    message(w, 6, (g) => writeGraph(g, attribute, form));
    type(5);
  } else {
    message(w, 5, (t) => writeTensor(t, attribute as Tensor, ""));
    type(4);
  }
}

function writeTensor(w: BinaryWriter, tensor: Tensor, name: string, external?: ExternalData): void {
  for (const dim of tensor.dims) w.tag(1, WireType.Varint).int64(dim);
  w.tag(2, WireType.Varint).int32(dtypeInfo[tensor.dtype].code);
  if (name) w.tag(8, WireType.LengthDelimited).string(name);
  const { buffer, byteOffset, byteLength } = tensor.data;
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  if (!external || byteLength < external.minBytes) {
    w.tag(9, WireType.LengthDelimited).bytes(bytes);
    return;
  }
  const entries = { location: external.location, offset: String(external.store(bytes)), length: String(byteLength) };
  for (const [key, value] of Object.entries(entries))
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
