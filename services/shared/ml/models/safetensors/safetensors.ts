import { RetortError } from "../../../base/errors.js";
import { sizeOf, type Tensor } from "../../graph/tensor.js";
import { entriesOf, type SafetensorsEntry } from "./entries.js";
import { checkElementType, elementBytes, widenInto } from "./widen.js";

// The safetensors format (Hugging Face): an 8-byte little-endian header length, a JSON header {name: {dtype, shape,
// data_offsets}}, then the tensors' bytes.
export type { SafetensorsEntry } from "./entries.js";
export { encodeSafetensors } from "./safetensors-write.js";

/**
 * Reads a safetensors file's bytes; float16 and bfloat16 are widened to float32.
 * Tensors that are float32 already share the memory of `bytes` where alignment allows.
 *
 * @throws DataLoss if the file is cut off or malformed; InvalidArgument for another element type, naming the tensor
 */
export function decodeSafetensors(bytes: Uint8Array, file = "model.safetensors"): Map<string, Tensor<"float32">> {
  const size = bytes.length;
  const length = size >= 8 ? headerLength(bytes) : Number.POSITIVE_INFINITY;
  if (8 + length > size) throw new RetortError("DataLoss", `${file}: not a safetensors file, or cut off (${size} bytes)`);
  const start = 8 + length;
  const tensors = new Map<string, Tensor<"float32">>();
  for (const [name, entry] of entriesOf(bytes.subarray(8, start), file, size - start)) {
    const [from, to] = entry.data_offsets;
    tensors.set(name, decodeTensor(bytes.subarray(start + from, start + to), entry, `${file}: tensor ${name}`));
  }
  return tensors;
}

/** Length of the JSON header, by a file's first 8 bytes. */
export const headerLength = (bytes: Uint8Array): number => Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));

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
