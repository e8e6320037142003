import { float16Bits } from "../graph/round.js";
import { type DType, sizeOf, type Tensor } from "../graph/tensor.js";

/** Element types that a student computes in, and its caches have. */
export type CacheDtype = Extract<DType, "float16" | "float32">;

/** Numbers in such an element type. */
export const tensorOf = (dtype: CacheDtype, data: Float32Array, dims: readonly number[]): Tensor =>
  dtype === "float16" ? { dtype, dims, data: float16Bits(data) } : { dtype, dims, data };

/** As many zeros. */
export const zeros = (dtype: CacheDtype, dims: readonly number[]): Tensor => tensorOf(dtype, new Float32Array(sizeOf(dims)), dims);
