import { checkElementType, firstNonFinite, widenInto } from "../../../../../../services/shared/ml/models/safetensors/widen.js";

const all = Uint16Array.from({ length: 1 << 16 }, (_, bits) => bits);

/** Elements of a type, widened. */
function widened(bytes: Uint8Array, dtype: string): Float32Array {
  const bits = new Uint32Array(bytes.length / (dtype === "F32" ? 4 : 2));
  widenInto(bits, 0, bytes, dtype);
  return new Float32Array(bits.buffer);
}

/** IEEE 754 binary16 bits as a number, by their definition. */
function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

describe("widenInto()", () => {
  it("widens every float16 number exactly: subnormal numbers, both zeros, infinities and NaN", () => {
    const data = widened(new Uint8Array(all.buffer), "F16");
    expect(Array.from(all).filter((bits) => !Object.is(data[bits], halfToFloat(bits)))).toEqual([]);
  });

  it("widens every bfloat16 number to the bits it begins", () => {
    const data = widened(new Uint8Array(all.buffer), "BF16");
    expect(new Uint32Array(data.buffer).every((bits, i) => bits === i * 65536)).toBe(true);
  });

  it("reads bytes that begin anywhere, those of a Buffer too", () => {
    const bytes = Uint8Array.of(9, 0x80, 0x3f, 0x00, 0xc0);
    for (const from of [bytes, Buffer.from(bytes)]) expect([...widened(from.subarray(1), "BF16")]).toEqual([1, -2]);
    const single = new Uint8Array(new Float32Array([0, 1.5, -3]).buffer).slice(3);
    expect([...widened(new Uint8Array([7, ...single]).subarray(2), "F32")]).toEqual([1.5, -3]);
  });
});

describe("checkElementType()", () => {
  it.each([
    ["F64", /is F64; supported: F32, F16, BF16; save the model as float32/],
    ["I8", /is I8; .*dequantise first/],
    ["F8_E4M3", /is F8_E4M3; .*dequantise first/],
  ])("refuses %s", (dtype, message) => {
    expect(() => checkElementType(dtype, "tensor x")).toThrow(message);
  });
});

describe("firstNonFinite()", () => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("finds %d at any place", (strange) => {
    for (const length of [1, 4, 7, 64])
      for (let at = 0; at < length; at++) {
        const numbers = Float32Array.from({ length }, (_, i) => (i % 2 ? -3.4028234663852886e38 : 1e-45));
        expect(firstNonFinite(new Uint32Array(numbers.buffer))).toBe(-1);
        numbers[at] = strange;
        expect(firstNonFinite(new Uint32Array(numbers.buffer))).toBe(at);
      }
  });
});
