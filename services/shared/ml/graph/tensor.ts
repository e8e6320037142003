/** Element types that a {@link Tensor} may carry; names as in the ONNX specification, lower case. */
export type DType = "bfloat16" | "bool" | "float16" | "float32" | "float64" | "int32" | "int64" | "uint8";

/** The JavaScript array that holds each element type. float16 and bfloat16 travel as raw bits, bool as 0/1 bytes. */
export interface ArrayOf {
  bfloat16: Uint16Array;
  bool: Uint8Array;
  float16: Uint16Array;
  float32: Float32Array;
  float64: Float64Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
}

/** A dense row-major array with its element type and dimensions. `data.length` is the product of `dims`. */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly dims: readonly number[];
  readonly data: ArrayOf[D];
}

/** TensorProto.DataType code and element size in bytes of each element type (onnx.proto). */
export const dtypeInfo: { readonly [D in DType]: { readonly code: number; readonly bytes: number } } = {
  bfloat16: { code: 16, bytes: 2 },
  bool: { code: 9, bytes: 1 },
  float16: { code: 10, bytes: 2 },
  float32: { code: 1, bytes: 4 },
  float64: { code: 11, bytes: 8 },
  int32: { code: 6, bytes: 4 },
  int64: { code: 7, bytes: 8 },
  uint8: { code: 2, bytes: 1 },
};

/** Number of elements of a tensor with these dimensions; 1 for a scalar. */
export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** A float32 tensor over `data` (not copied). */
export function float32(data: Float32Array | readonly number[], dims: readonly number[]): Tensor<"float32"> {
  return { dtype: "float32", dims, data: data instanceof Float32Array ? data : Float32Array.from(data) };
}

/** An int32 tensor over `data` (not copied). */
export function int32(data: Int32Array | readonly number[], dims: readonly number[]): Tensor<"int32"> {
  return { dtype: "int32", dims, data: data instanceof Int32Array ? data : Int32Array.from(data) };
}

/** An int64 tensor from ordinary integers. */
export function int64(data: readonly number[], dims: readonly number[] = [data.length]): Tensor<"int64"> {
  return { dtype: "int64", dims, data: BigInt64Array.from(data, BigInt) };
}

/** The transpose of a matrix [M, N]: [N, M]. */
export function transposed({ data, dims }: Tensor<"float32">): Tensor<"float32"> {
  const [rows, columns] = dims as [number, number];
  const out = new Float32Array(data.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) out[column * rows + row] = data[row * columns + column] as number;
  return float32(out, [columns, rows]);
}
