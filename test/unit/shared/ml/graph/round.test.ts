import { bfloat16Bits, float16Bits } from "../../../../../services/shared/ml/graph/round.js";
import { halfValues } from "../../../../../services/shared/ml/models/safetensors/widen.js";

describe("float16Bits()", () => {
  const values = halfValues();

  it("gives every float16 number back", () => {
    const numbers = [...values.keys()].filter((bits) => (bits & 0x7c00) !== 0x7c00);
    expect(float16Bits(values.filter((x) => Number.isFinite(x)))).toEqual(Uint16Array.from(numbers));
  });

  it("rounds to the nearest, and in the middle to the even one, subnormal numbers too", () => {
    for (const bits of [0, 1, 2, 0x3ff, 0x400, 0x3c00, 0x3c01, 0x7bfe]) {
      const [low, high] = [values[bits]!, values[bits + 1]!];
      const middle = (low + high) / 2;
      expect([...float16Bits(Float32Array.of(middle, low + (high - low) * 0.49, low + (high - low) * 0.51))]).toEqual([
        bits % 2 ? bits + 1 : bits,
        bits,
        bits + 1,
      ]);
    }
  });

  it("makes an infinity of what is too large", () => {
    expect([...float16Bits(Float32Array.of(65504, 65519.99, 65520, -1e30))]).toEqual([0x7bff, 0x7bff, 0x7c00, 0xfc00]);
  });
});

describe("bfloat16Bits()", () => {
  it("rounds to the nearest, and in the middle to the even one", () => {
    const numbers = new Float32Array(new Uint32Array([0x3f800000, 0x3f808000, 0x3f818000, 0x3f808001, 0xbf817fff, 0x7f7fffff]).buffer);
    expect([...bfloat16Bits(numbers)]).toEqual([0x3f80, 0x3f80, 0x3f82, 0x3f81, 0xbf81, 0x7f80]);
  });
});
