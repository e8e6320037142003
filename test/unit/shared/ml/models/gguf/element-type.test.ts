import { encode, fits } from "../../../../../../services/shared/ml/models/gguf/weights/element-type.js";
import { halfValues, widenInto } from "../../../../../../services/shared/ml/models/safetensors/widen.js";

const finite = halfValues().filter(Number.isFinite);

/** Numbers as a type holds them, as float32 again. */
function through(values: readonly number[], type: "float16" | "bfloat16"): number[] {
  const widened = new Float32Array(values.length);
  widenInto(new Uint32Array(widened.buffer), 0, encode(Float32Array.from(values), type, "w"), type === "float16" ? "F16" : "BF16");
  return Array.from(widened);
}

describe("encode()", () => {
  it("leaves every float16 and bfloat16 as it is", () => {
    expect(through(Array.from(finite), "float16").every((x, i) => Object.is(x, finite[i]))).toBe(true);
    const bits = Uint32Array.from({ length: 1 << 16 }, (_, i) => i << 16);
    const all = Array.from(new Float32Array(bits.buffer)).filter(Number.isFinite);
    expect(through(all, "bfloat16").every((x, i) => Object.is(x, all[i]))).toBe(true);
  });

  it("rounds to the nearest, and halfway to the even", () => {
    const sorted = Array.from(finite)
      .filter((x) => x > 0)
      .sort((a, b) => a - b);
    for (let i = 0; i + 1 < sorted.length; i++) {
      const [low, high] = [sorted[i]!, sorted[i + 1]!];
      const middle = (low + high) / 2;
      const even = i % 2 === 1 ? low : high;
      const ulp = middle * 2 ** -22;
      expect(through([middle, -middle, middle - ulp, middle + ulp], "float16")).toEqual([even, -even, low, high]);
    }
    expect(through([2 ** -25, 2 ** -26, 2 ** -25 * 1.0001], "float16")).toEqual([0, 0, 2 ** -24]);
    expect(through([1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20], "bfloat16")).toEqual([1, 1 + 2 ** -6, 1 + 2 ** -7]);
  });

  it("refuses numbers beyond a type, naming the tensor", () => {
    expect(() => encode(Float32Array.of(1, 65520), "float16", "f: tensor w")).toThrow(/f: tensor w holds 65520, which no float16 can be/);
    expect(through([65519], "float16")).toEqual([65504]);
    expect(() => encode(Float32Array.of(3.4e38), "bfloat16", "w")).toThrow(/no bfloat16/);
  });
});

describe("fits()", () => {
  it("tells whether a type loses nothing", () => {
    expect([fits(finite, "float16"), fits(Float32Array.of(1 + 2 ** -11), "float16")]).toEqual([true, false]);
    expect([fits(Float32Array.of(1 + 2 ** -7, -0), "bfloat16"), fits(Float32Array.of(1 + 2 ** -8), "bfloat16")]).toEqual([true, false]);
    expect(fits(Float32Array.of(0.1), "float32")).toBe(true);
    expect([fits(Float32Array.of(1e6), "float16"), fits(Float32Array.of(3.4e38), "bfloat16")]).toEqual([false, false]);
  });
});
