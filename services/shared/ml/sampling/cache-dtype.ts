import { tensorOf } from "../graph/round.js";
import { type DType, sizeOf, type Tensor } from "../graph/tensor.js";

/** Element types that a student computes in, and its caches have. */
export type CacheDtype = Extract<DType, "float16" | "float32">;

/** As many zeros. */
export const zeros = (dtype: CacheDtype, dims: readonly number[]): Tensor => tensorOf(dtype, new Float32Array(sizeOf(dims)), dims);
