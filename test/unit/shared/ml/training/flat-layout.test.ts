import type { ParamSpec } from "../../../../../services/shared/ml/models/param-spec.js";
import { flatLayout } from "../../../../../services/shared/ml/training/flat-layout.js";

const spec = (name: string, kind: ParamSpec["kind"], dims: number[]) => ({ name, kind, dims }) as ParamSpec;

describe("flatLayout()", () => {
  const specs = [spec("norm", "norm", [3]), spec("a", "matrix", [8, 9]), spec("b", "matrix", [2, 2]), spec("bias", "bias", [65])];

  it("puts what decays first, and begins each tensor at a whole line of 64 elements", () => {
    expect(flatLayout(specs)).toEqual({
      starts: new Map(Object.entries({ a: 0, b: 128, norm: 192, bias: 256 })),
      length: 384,
      ranges: [
        { start: 0, length: 192, decayed: true },
        { start: 192, length: 192, decayed: false },
      ],
    });
  });

  it("cuts ranges where they would be too long, and has each element in one of them", () => {
    const { ranges, length } = flatLayout(specs, 128);
    expect(ranges.map((range) => range.length)).toEqual([128, 64, 128, 64]);
    expect(ranges.reduce((end, range) => (range.start === end ? end + range.length : Number.NaN), 0)).toBe(length);
  });

  it("has no range of what there is none of", () => {
    expect(flatLayout([spec("a", "matrix", [64])]).ranges).toEqual([{ start: 0, length: 64, decayed: true }]);
  });
});
