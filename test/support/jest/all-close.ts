/** How far two numbers may lie apart: |actual − expected| ≤ atol + rtol · |expected|. */
export interface Tolerance {
  readonly rtol?: number;
  readonly atol?: number;
}

/** Fails unless two arrays agree element by element; names the worst element. A non-finite element agrees with its equal only. */
export function expectAllClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { rtol = 1e-5, atol = 1e-6 }: Tolerance = {},
  what = "array",
): void {
  if (actual.length !== expected.length) throw new Error(`${what}: ${actual.length} elements, expected ${expected.length}`);
  let [worst, at] = [0, -1];
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!];
    if (a === e) continue;
    const excess = Math.abs(a - e) / (atol + rtol * Math.abs(e));
    if (!(excess <= worst)) [worst, at] = [Number.isNaN(excess) ? Number.POSITIVE_INFINITY : excess, i];
  }
  if (worst > 1) throw new Error(`${what}[${at}] is ${actual[at]}, expected ${expected[at]} (${worst.toPrecision(3)} times the tolerance)`);
}
