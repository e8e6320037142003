import { create } from "@bufbuild/protobuf";
import { RetortError } from "../base/errors.js";
import { type Array as ArrayRecord, ArraySchema, ArrayType } from "../gen/retort/v1/flow_pb.js";

type Typed = Float32Array | Int32Array | Uint32Array | Uint16Array;

/** A typed array as a record: little-endian bytes with element type and shape. The bytes are shared, not copied. */
export function toRecord(data: Typed, shape: readonly number[] = [data.length]): ArrayRecord {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return create(ArraySchema, { type: typeOf(data), shape: [...shape], data: bytes as Uint8Array<ArrayBuffer> });
}

function typeOf(data: Typed): ArrayType {
  if (data instanceof Float32Array) return ArrayType.FLOAT32;
  if (data instanceof Int32Array) return ArrayType.INT32;
  return data instanceof Uint32Array ? ArrayType.UINT32 : ArrayType.UINT16;
}

/** The float32 array of a record. @throws DataLoss if type, shape and bytes do not agree */
export function toFloat32(record: ArrayRecord | undefined, what: string): Float32Array {
  return new Float32Array(checked(record, ArrayType.FLOAT32, 4, what));
}

/** The int32 array of a record. @throws DataLoss if type, shape and bytes do not agree */
export function toInt32(record: ArrayRecord | undefined, what: string): Int32Array {
  return new Int32Array(checked(record, ArrayType.INT32, 4, what));
}

/** The uint32 array of a record. @throws DataLoss if type, shape and bytes do not agree */
export function toUint32(record: ArrayRecord | undefined, what: string): Uint32Array {
  return new Uint32Array(checked(record, ArrayType.UINT32, 4, what));
}

/** The uint16 array of a record (numbers, or the bits of float16). @throws DataLoss if type, shape and bytes do not agree */
export function toUint16(record: ArrayRecord | undefined, what: string, type = ArrayType.UINT16): Uint16Array {
  return new Uint16Array(checked(record, type, 2, what));
}

/** float16 bits as a record. */
export const toHalfRecord = (bits: Uint16Array, shape: readonly number[]): ArrayRecord =>
  create(ArraySchema, { ...toRecord(bits, shape), type: ArrayType.FLOAT16 });

/** The bytes in memory of their own, which starts where any element type may start. */
function checked(record: ArrayRecord | undefined, type: ArrayType, size: number, what: string): ArrayBuffer {
  if (!record) throw new RetortError("DataLoss", `${what} is missing`);
  const elements = record.shape.reduce((a, b) => a * b, 1);
  if (record.type !== type || record.data.byteLength !== elements * size) {
    throw new RetortError(
      "DataLoss",
      `${what}: ${record.data.byteLength} bytes of ${ArrayType[record.type]} for shape [${record.shape}]; expected ${ArrayType[type]}`,
    );
  }
  return new Uint8Array(record.data).buffer;
}
