import fc from "fast-check";
import { passAtK } from "../../../../../services/shared/ml/evaluation/pass-at-k.js";

/** Share of the k-subsets of n samples, the first c of which pass, that hold one that passes: by counting them all. */
function counted(n: number, c: number, k: number): number {
  let [subsets, passing] = [0, 0];
  for (let bits = 0; bits < 1 << n; bits++) {
    const members = Array.from({ length: n }, (_, i) => i).filter((i) => bits & (1 << i));
    if (members.length !== k) continue;
    subsets++;
    if (members.some((i) => i < c)) passing++;
  }
  return passing / subsets;
}

describe("passAtK()", () => {
  it("is the share of the k-subsets that hold a sample that passes", () => {
    for (let n = 1; n <= 8; n++)
      for (let c = 0; c <= n; c++) for (let k = 1; k <= n; k++) expect(passAtK(n, c, k)).toBeCloseTo(counted(n, c, k), 12);
  });

  it("gives the quotient of the binomials where they are large", () => {
    // 1 - math.comb(n - c, k) / math.comb(n, k), in Python's exact integers.
    expect(passAtK(200, 13, 10)).toBeCloseTo(0.4975511147306, 12);
    expect(passAtK(64, 3, 16)).toBeCloseTo(0.5848694316436, 12);
  });

  it("is c/n for k = 1, and rises with k and with c", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 300 }), fc.nat(), fc.nat(), (n, a, b) => {
        const [c, k] = [a % n, 1 + (b % (n - 1))];
        expect(passAtK(n, c, 1)).toBeCloseTo(c / n, 10);
        expect(passAtK(n, c, k + 1)).toBeGreaterThanOrEqual(passAtK(n, c, k) - 1e-12);
        expect(passAtK(n, c + 1, k)).toBeGreaterThanOrEqual(passAtK(n, c, k) - 1e-12);
      }),
      { seed: 1 },
    );
  });

  it.each([0, 5, -1, Number.NaN])("has no value for k = %p of 4 samples", (k) => {
    expect(passAtK(4, 2, k)).toBeNaN();
  });
});
