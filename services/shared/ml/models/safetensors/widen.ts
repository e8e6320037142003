import { RetortError } from "../../../base/errors.js";

/** Bytes of one element of every type that the safetensors format knows. */
export const elementBytes: Readonly<Record<string, number>> = {
  ...{ BOOL: 1, F8_E4M3: 1, F8_E5M2: 1, F8_E8M0: 1, I8: 1, U8: 1, BF16: 2, F16: 2, I16: 2, U16: 2 },
  ...{ F32: 4, I32: 4, U32: 4, F64: 8, I64: 8, U64: 8, C64: 8 },
};

/** Names, in safetensors files, of the element types that weights have here. */
export const storedNames = { bfloat16: "BF16", float16: "F16", float32: "F32" } as const;

/** The element type of weights in files and sessions. */
export type FloatDtype = keyof typeof storedNames;

/** Checks an element type. @throws InvalidArgument naming the tensor, the type and the way out */
export function checkElementType(dtype: string, what: string): void {
  if (dtype === "F32" || dtype === "F16" || dtype === "BF16") return;
  const way =
    dtype === "F64"
      ? "save the model as float32"
      : "the weights are quantised, or no weights: dequantise first (load the model with transformers, model.dequantize(), save_pretrained)";
  throw new RetortError("InvalidArgument", `${what} is ${dtype}; supported: F32, F16, BF16; ${way}`);
}

/**
 * Widens little-endian elements to float32, exactly: subnormal numbers, infinities and NaN included.
 *
 * @param bytes elements of `dtype`, at any address
 * @param bits the float32 numbers' bits, from `at` on
 */
export function widenInto(bits: Uint32Array, at: number, bytes: Uint8Array, dtype: string): void {
  if (dtype === "F32") {
    new Uint8Array(bits.buffer, bits.byteOffset + 4 * at, bytes.length).set(bytes);
    return;
  }
  // Not slice(): a Buffer's shares its memory.
  const source = bytes.byteOffset % 2 === 0 ? bytes : new Uint8Array(bytes);
  const half = new Uint16Array(source.buffer, source.byteOffset, source.byteLength >> 1);
  if (dtype === "BF16") for (let i = 0; i < half.length; i++) bits[at + i] = half[i]! << 16;
  else {
    const table = halfTable();
    for (let i = 0; i < half.length; i++) bits[at + i] = table[half[i]!]!;
  }
}

/** Every IEEE 754 binary16 number by its bits, as float32. */
export const halfValues = (): Float32Array => new Float32Array(halfTable().buffer);

let halves: Uint32Array<ArrayBuffer> | undefined;

/** The float32 bits of every IEEE 754 binary16 number. */
function halfTable(): Uint32Array<ArrayBuffer> {
  halves ??= Uint32Array.from({ length: 1 << 16 }, (_, bits) => widenedHalf(bits));
  return halves;
}

function widenedHalf(bits: number): number {
  const sign = (bits & 0x8000) << 16;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // A subnormal number is normal in float32: its leading one becomes the hidden one.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

/** Index of the first infinity or NaN among float32 numbers, by their bits; -1 if all are finite. */
export function firstNonFinite(bits: Uint32Array): number {
  // An exponent of ones carries into the sign of the sum: no branch for each number.
  let carried = 0;
  const even = bits.length & ~3;
  for (let i = 0; i < even; i += 4)
    carried |=
      ((bits[i]! & 0x7f800000) + 0x800000) |
      ((bits[i + 1]! & 0x7f800000) + 0x800000) |
      ((bits[i + 2]! & 0x7f800000) + 0x800000) |
      ((bits[i + 3]! & 0x7f800000) + 0x800000);
  for (let i = even; i < bits.length; i++) carried |= (bits[i]! & 0x7f800000) + 0x800000;
  return carried >= 0 ? -1 : bits.findIndex((x) => (x & 0x7f800000) === 0x7f800000);
}
