import type { Tensor } from "./tensor.js";

const scratch = new Float32Array(1);

/** float32 numbers rounded to bfloat16, to the nearest, ties to even: their bits, in `out`. An infinity is what was too large. */
export function bfloat16Bits(numbers: Float32Array, out = new Uint16Array(numbers.length)): Uint16Array {
  const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
  for (let i = 0; i < bits.length; i++) {
    const x = bits[i] as number;
    out[i] = (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
  }
  return out;
}

/** float32 numbers rounded to float16, to the nearest, ties to even: their bits, in `out`. An infinity is what was too large. */
export function float16Bits(numbers: Float32Array, out = new Uint16Array(numbers.length)): Uint16Array {
  const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
  for (let i = 0; i < bits.length; i++) out[i] = halfOf(bits[i] as number);
  return out;
}

function halfOf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size >= 0x477ff000) return sign | 0x7c00;
  if (size >= 0x38800000) return sign | ((size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
  // A subnormal number counts in units of 2⁻²⁴.
  new Uint32Array(scratch.buffer)[0] = size;
  const units = (scratch[0] as number) * 2 ** 24;
  const below = Math.floor(units);
  const rest = units - below;
  return sign | (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below);
}

/** Index of the first infinity among rounded numbers; -1 if there is none. */
export const firstTooLarge = (bits: Uint16Array, dtype: "float16" | "bfloat16"): number => {
  const infinity = dtype === "float16" ? 0x7c00 : 0x7f80;
  for (let i = 0; i < bits.length; i++) if (((bits[i] as number) & 0x7fff) === infinity) return i;
  return -1;
};

/** float32 numbers as a tensor of an element type, rounded to it. */
export function tensorOf(dtype: "bfloat16" | "float16" | "float32", data: Float32Array, dims: readonly number[]): Tensor {
  if (dtype === "float32") return { dtype, dims, data };
  return { dtype, dims, data: dtype === "float16" ? float16Bits(data) : bfloat16Bits(data) };
}
