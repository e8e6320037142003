import { decodeTensor, halfToFloat } from "../../../../../../services/shared/ml/models/safetensors/safetensors.js";
import { firstNonFinite } from "../../../../../../services/shared/ml/models/safetensors/widen.js";

const all = Uint16Array.from({ length: 1 << 16 }, (_, bits) => bits);
const bytesOf = (half: Uint16Array) => new Uint8Array(half.buffer);

describe("decodeTensor()", () => {
  it("widens every float16 number exactly: subnormal numbers, both zeros, infinities and NaN", () => {
    const { data } = decodeTensor(bytesOf(all), { dtype: "F16", shape: [256, 256] }, "tensor");
    const wrong = Array.from(all).filter((bits) => !Object.is(data[bits], halfToFloat(bits)));
    expect(wrong).toEqual([]);
  });

  it("widens every bfloat16 number to the bits it begins", () => {
    const { data } = decodeTensor(bytesOf(all), { dtype: "BF16", shape: [1 << 16] }, "tensor");
    expect(new Uint32Array(data.buffer).every((bits, i) => bits === i * 65536)).toBe(true);
  });

  it("reads bytes that begin anywhere", () => {
    const bytes = Uint8Array.of(9, 0x80, 0x3f, 0x00, 0xc0);
    expect([...decodeTensor(bytes.subarray(1), { dtype: "BF16", shape: [2] }, "tensor").data]).toEqual([1, -2]);
    const single = new Uint8Array(new Float32Array([0, 1.5, -3]).buffer).slice(3);
    expect([...decodeTensor(new Uint8Array([7, ...single]).subarray(2), { dtype: "F32", shape: [2] }, "tensor").data]).toEqual([1.5, -3]);
  });

  it.each([
    ["F64", /is F64; supported: F32, F16, BF16; save the model as float32/],
    ["I8", /is I8; .*dequantise first/],
    ["F8_E4M3", /is F8_E4M3; .*dequantise first/],
  ])("refuses %s", (dtype, message) => {
    expect(() => decodeTensor(new Uint8Array(8), { dtype, shape: [1] }, "tensor x")).toThrow(message);
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
