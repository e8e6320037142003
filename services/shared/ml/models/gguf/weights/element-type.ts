import { RetortError } from "../../../../base/errors.js";
import { widenInto } from "../../safetensors/widen.js";

/** Element types that an import can write, by their names in config.json. */
export const elementTypes = ["float32", "bfloat16", "float16"] as const;

/** One of {@link elementTypes}. */
export type ElementType = (typeof elementTypes)[number];

/** Name in a safetensors file, and bytes of an element. */
export const stored: Readonly<Record<ElementType, { readonly dtype: "F32" | "BF16" | "F16"; readonly bytes: number }>> = {
  float32: { dtype: "F32", bytes: 4 },
  bfloat16: { dtype: "BF16", bytes: 2 },
  float16: { dtype: "F16", bytes: 2 },
};

/**
 * Numbers as the bytes of a safetensors file, rounded to nearest, ties to even.
 *
 * @param what names file and tensor in errors
 * @throws InvalidArgument if a finite number is beyond what the type holds
 */
export function encode(values: Float32Array, type: ElementType, what: string): Uint8Array {
  if (type === "float32") return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const round = type === "bfloat16" ? bfloatBits : halfBits;
  const infinity = type === "bfloat16" ? 0x7f80 : 0x7c00;
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const rounded = round(bits[i]!);
    if ((rounded & 0x7fff) === infinity && (bits[i]! & 0x7fffffff) < 0x7f800000)
      throw new RetortError("InvalidArgument", `${what} holds ${values[i]}, which no ${type} can be; take --dtype bfloat16 or float32`);
    out[i] = rounded;
  }
  return new Uint8Array(out.buffer);
}

/** Whether all numbers are the same in a type. */
export function fits(values: Float32Array, type: ElementType): boolean {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const round = type === "bfloat16" ? bfloatBits : halfBits;
  if (type === "float32") return true;
  const rounded = Uint16Array.from(bits, round);
  const widened = new Uint32Array(bits.length);
  widenInto(widened, 0, new Uint8Array(rounded.buffer), stored[type].dtype);
  return bits.every((one, i) => one === widened[i]);
}

/** A float32's bits as a bfloat16's; NaN stays NaN. */
function bfloatBits(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** A float32's bits as a float16's; NaN stays NaN. */
function halfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size > 0x7f800000) return sign | 0x7e00;
  if (size >= 0x477ff000) return sign | 0x7c00;
  if (size >= 0x38800000) {
    const moved = size - 0x38000000;
    return sign | ((moved + 0xfff + ((moved >>> 13) & 1)) >>> 13);
  }
  // Subnormal: units of 2^-24. Below half a unit all is 0.
  if (size <= 0x33000000) return sign;
  const shift = 126 - (size >>> 23);
  const fraction = (size & 0x7fffff) | 0x800000;
  const kept = fraction >>> shift;
  const rest = fraction & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return sign | (kept + (rest > middle || (rest === middle && kept & 1) ? 1 : 0));
}
