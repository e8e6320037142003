import { RetortError } from "../../base/errors.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";
import { checkElementType, elementBytes, widenInto } from "./checkpoint/widen.js";

/**
 * The safetensors format (Hugging Face): an 8-byte little-endian header length, a JSON header
 * {name: {dtype, shape, data_offsets}}, then the tensors' bytes.
 */
export interface SafetensorsEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** Serialises float32 tensors, sorted by name; `metadata` goes into the header's __metadata__. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, Tensor<"float32">>,
  metadata: Record<string, string> = { format: "pt" },
): Uint8Array {
  const names = [...tensors.keys()].sort();
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const name of names) {
    const { dims, data } = tensors.get(name)!;
    header[name] = { dtype: "F32", shape: dims, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const text = JSON.stringify(header);
  // The data must start at a multiple of 8: spaces fill the header up.
  const head = Buffer.from(text.padEnd(text.length + ((8 - (Buffer.byteLength(text) % 8)) % 8)));
  const bytes = new Uint8Array(8 + head.length + offset);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(head.length), true);
  bytes.set(head, 8);
  let at = 8 + head.length;
  for (const name of names) {
    const { data } = tensors.get(name)!;
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

/**
 * Reads a safetensors file's bytes; float16 and bfloat16 are widened to float32.
 * Tensors that are float32 already share the memory of `bytes` where alignment allows.
 *
 * @throws DataLoss if the file is cut off or malformed; InvalidArgument for another element type, naming the tensor
 */
export function decodeSafetensors(bytes: Uint8Array, file = "model.safetensors"): Map<string, Tensor<"float32">> {
  const length = bytes.length >= 8 ? headerLength(bytes) : Number.POSITIVE_INFINITY;
  if (8 + length > bytes.length) throw new RetortError("DataLoss", `${file}: not a safetensors file, or cut off (${bytes.length} bytes)`);
  const start = 8 + length;
  const tensors = new Map<string, Tensor<"float32">>();
  for (const [name, entry] of entriesOf(bytes.subarray(8, start))) {
    const [from, to] = entry.data_offsets;
    if (start + to > bytes.length) throw new RetortError("DataLoss", `${file}: tensor ${name} ends after the file; it is cut off`);
    tensors.set(name, decodeTensor(bytes.subarray(start + from, start + to), entry, `${file}: tensor ${name}`));
  }
  return tensors;
}

/** Length of the JSON header, by a file's first 8 bytes. */
export const headerLength = (bytes: Uint8Array): number => Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));

/** The tensors that a header names. */
export function entriesOf(header: Uint8Array): [string, SafetensorsEntry][] {
  const { __metadata__, ...entries } = JSON.parse(Buffer.from(header).toString()) as Record<string, SafetensorsEntry>;
  return Object.entries(entries);
}

/**
 * A tensor from its bytes, widened to float32 exactly; see {@link widenInto}.
 *
 * @throws DataLoss if the bytes do not make up its shape; InvalidArgument for another element type
 */
export function decodeTensor(
  bytes: Uint8Array,
  { dtype, shape }: Pick<SafetensorsEntry, "dtype" | "shape">,
  what: string,
): Tensor<"float32"> {
  checkElementType(dtype, what);
  const length = bytes.length / elementBytes[dtype]!;
  if (length !== sizeOf(shape)) throw new RetortError("DataLoss", `${what} has ${length} elements for shape [${shape}]`);
  if (dtype === "F32" && bytes.byteOffset % 4 === 0)
    return { dtype: "float32", dims: shape, data: new Float32Array(bytes.buffer, bytes.byteOffset, length) };
  const data = new Float32Array(length);
  widenInto(new Uint32Array(data.buffer), 0, bytes, dtype);
  return { dtype: "float32", dims: shape, data };
}

/** IEEE 754 binary16 bits as a number. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
