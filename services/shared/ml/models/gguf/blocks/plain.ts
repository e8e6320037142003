import { widenInto } from "../../safetensors/widen.js";
import type { BlockFormat } from "./block-format.js";

/** Numbers as they are: a block is one. */
const plain = (dtype: "F32" | "F16" | "BF16", bytes: number): BlockFormat => ({
  elements: 1,
  bytes,
  decode: (from, out) => widenInto(new Uint32Array(out.buffer, out.byteOffset, out.length), 0, from, dtype),
});

/** float32. */
export const f32 = plain("F32", 4);

/** float16. */
export const f16 = plain("F16", 2);

/** bfloat16. */
export const bf16 = plain("BF16", 2);
