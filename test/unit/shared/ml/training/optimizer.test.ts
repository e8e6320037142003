import { normals } from "../../../../../services/shared/base/random.js";
import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import type { ParamSpec } from "../../../../../services/shared/ml/models/param-spec.js";
import { Optimizer } from "../../../../../services/shared/ml/training/optimizer.js";
import { OptimizerState } from "../../../../../services/shared/ml/training/optimizer-state.js";

/** Two rows of one thread's and what is left of a third one: too many for an array beside others. */
const length = 2 * 65_536 + 100;
const options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, maxGradNorm: 0 };

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength);

/** A weight of which each piece is a weight of its own. */
const inPieces = (of: number, kind: ParamSpec["kind"]): ParamSpec[] =>
  Array.from({ length: Math.ceil(length / of) }, (_, i) => ({ name: `w${i}`, dims: [Math.min(of, length - i * of)], kind }));

/** Weights and moments after three updates of a weight that is cut into pieces of so many elements. */
async function trained(of: number, kind: ParamSpec["kind"], threads: number): Promise<Float32Array[]> {
  const specs = inPieces(of, kind);
  const cut = (from: Float32Array) =>
    new Map(specs.map(({ name, dims }, i) => [name, float32(from.slice(i * of, (i + 1) * of), dims)] as const));
  const state = new OptimizerState(specs, cut(normals(1n, length, 1)));
  const optimizer = new Optimizer(state, { device: "cpu", threads });
  for (const seed of [2n, 3n, 4n]) {
    for (const [name, { data }] of cut(normals(seed, length, 1e-3))) state.gradients.get(name)!.data.set(data);
    await optimizer.update({ learningRate: 1e-3, scale: 1 }, options);
  }
  await optimizer.release();
  return [state.params, state.moments.m, state.moments.v].map((weights) =>
    Float32Array.from(specs.flatMap(({ name }) => [...weights.get(name)!.data])),
  );
}

describe("OptimizerState", () => {
  const specs: ParamSpec[] = [
    { name: "large", dims: [512, 512], kind: "matrix" },
    { name: "small", dims: [70], kind: "norm" },
  ];
  const weights = () =>
    new Map(
      specs.map(
        ({ name, dims }) =>
          [
            name,
            float32(
              normals(
                5n,
                dims.reduce((a, b) => a * b),
                1,
              ),
              dims,
            ),
          ] as const,
      ),
    );

  it("takes the large arrays of a state as its own, and copies weights", () => {
    const state = new OptimizerState(specs, weights()).snapshot();
    const resumed = new OptimizerState(specs, state);
    for (const [kind, given] of [
      [resumed.params, state.params],
      [resumed.moments.m, state.m],
      [resumed.moments.v, state.v],
    ] as const) {
      for (const { name } of specs) expect(bytesOf(kind.get(name)!.data).equals(bytesOf(given.get(name)!.data))).toBe(true);
      expect(kind.get("large")!.data).toBe(given.get("large")!.data);
    }
    const given = weights();
    expect(new OptimizerState(specs, given).params.get("large")!.data).not.toBe(given.get("large")!.data);
  });
});

describe("Optimizer", () => {
  it.each([
    ["matrix", 1],
    ["matrix", 2],
    ["norm", 2],
    ["matrix", 3],
  ] as const)("updates a long %s by %i threads as its parts by themselves, bit by bit", async (kind, threads) => {
    const whole = await trained(length, kind, threads);
    const parts = await trained(10_000, kind, 1);
    expect(whole.map((array) => array.every((x) => Number.isFinite(x)))).toEqual([true, true, true]);
    for (const [i, array] of whole.entries()) expect(bytesOf(array).equals(bytesOf(parts[i]!))).toBe(true);
  });

  it("measures the gradients of large and of small weights", async () => {
    const specs = inPieces(131_100, "matrix");
    const state = new OptimizerState(specs, new Map(specs.map(({ name, dims }) => [name, float32(new Float32Array(dims[0]!), dims)])));
    const all = normals(6n, length, 1);
    for (const [i, { name }] of specs.entries()) state.gradients.get(name)!.data.set(all.subarray(i * 131_100, (i + 1) * 131_100));
    const optimizer = new Optimizer(state, { device: "cpu", threads: 2 });
    expect(await optimizer.norm()).toBeCloseTo(Math.sqrt(all.reduce((sum, x) => sum + x * x, 0)), 2);
    await optimizer.release();
  });
});
