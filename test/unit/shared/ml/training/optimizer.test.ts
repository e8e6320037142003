import { normals } from "../../../../../services/shared/base/random.js";
import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import type { ParamSpec } from "../../../../../services/shared/ml/models/param-spec.js";
import { Optimizer } from "../../../../../services/shared/ml/training/optimizer.js";
import { OptimizerState } from "../../../../../services/shared/ml/training/optimizer-state.js";

/** Two rows and what is left of a third one. */
const length = 2 * 32_768 + 100;
const options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, maxGradNorm: 0 };

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
    expect(whole).toEqual(parts);
  });
});
