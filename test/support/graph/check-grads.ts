import { permutation, uniform } from "../../../services/shared/base/random.js";
import { gradients } from "../../../services/shared/ml/autodiff/gradients.js";
import { Graph, type Shape, Value } from "../../../services/shared/ml/graph/graph.js";
import { withShape } from "../../../services/shared/ml/graph/ops/index.js";
import { float32, int64, sizeOf, type Tensor } from "../../../services/shared/ml/graph/tensor.js";
import { Session } from "../../../services/shared/ml/runtime/session.js";
import { expectAllClose } from "../jest/all-close.js";

/** One input of a {@link checkGrads} case. */
export interface GradInput {
  readonly tensor: Tensor;
  /** Its shape in the graph, where that has names; default the tensor's. */
  readonly shape?: Shape;
  /** False for what is no variable of the derivative (tables, masks); inputs that aren't float32 never are one. */
  readonly varied?: boolean;
}

/** What {@link checkGrads} differentiates: results, each float32 or float64, of these inputs in this order. */
export type Build = (...inputs: readonly Value[]) => Value | readonly Value[];

/** Spacing of the four points of a finite difference; inputs stay away from kinks by more than twice that. */
const step = 1 / 32;

/** By name, what is differentiated, and in which inputs. */
export type GradCases = Readonly<Record<string, readonly [inputs: readonly GradInput[], build: Build]>>;

/** Tests by {@link checkGrads}: for every operator that has a rule its cases, each of which must contain the operator. */
export function describeGrads<Op extends string>(rules: Readonly<Record<Op, unknown>>, cases: Readonly<Record<Op, GradCases>>): void {
  for (const op of Object.keys(rules) as Op[]) {
    describe(`the derivative of ${op}`, () => {
      it.each(Object.entries(cases[op]))("is the limit of differences: %s", async (_, [inputs, build]) => {
        expect(await checkGrads(inputs, build)).toContain(op);
      });
    });
  }
}

/** An int64 input. */
export const integers = (data: readonly number[], dims?: readonly number[]): GradInput => ({ tensor: int64(data, dims) });

/** A truth value per element, as an input. */
export const truths = (data: readonly (0 | 1)[], dims: readonly number[]): GradInput => ({
  tensor: { dtype: "bool", dims, data: Uint8Array.from(data) },
});

/** The same input under dimensions of which some have names. */
export const named = (input: GradInput, shape: Shape): GradInput => ({ ...input, shape });

/** The same input, held fixed: no variable of the derivative. */
export const fixed = (input: GradInput): GradInput => ({ ...input, varied: false });

/** Elements in a random order, evenly spaced over [low, high]: no two lie closer than (high − low) / count. */
export function spaced(dims: readonly number[], [low, high]: readonly [number, number] = [-1.5, 1.5], seed = 1n): GradInput {
  const count = sizeOf(dims);
  const order = permutation(seed, count);
  return {
    tensor: float32(
      Float32Array.from(order, (place) => low + ((high - low) * (place + 0.5)) / count),
      dims,
    ),
  };
}

/**
 * Fails unless the gradient of Σ w·y, with fixed random weights w over all results y of `build`, agrees in every element
 * of every varied input with its finite difference, (8 (f(x+h) − f(x−h)) − (f(x+2h) − f(x−2h))) / 12h, summed in float64.
 * The results in float32 leave a difference an error near 1e-5; an error of a rule is far larger.
 *
 * @returns the operators that `build` is made of
 */
export async function checkGrads(inputs: readonly GradInput[], build: Build): Promise<ReadonlySet<string>> {
  const graph = new Graph("gradients");
  const values = inputs.map(({ tensor, shape }, i) => graph.input(`x${i}`, tensor.dtype, shape ?? tensor.dims));
  const built = build(...values);
  const results = built instanceof Value ? [built] : built;
  const ops = new Set(graph.nodes.map(({ op }) => op));
  for (const [i, y] of results.entries()) graph.output(`y${i}`, y);
  const feeds = Object.fromEntries(inputs.map(({ tensor }, i) => [`x${i}`, tensor]));
  const weights = (await run(graph, feeds)).map((y, i) => weightsOf(y, i));
  const varied = values.filter((value, i) => value.dtype === "float32" && inputs[i]?.varied !== false);
  const seeds = results.map((value, i) => ({ value, seed: withShape(graph.initializer(`weights${i}`, weights[i]!), value.shape) }));
  for (const [i, gradient] of gradients(seeds, varied).entries()) graph.output(`d${i}`, gradient);
  const session = await Session.create(graph, { device: "cpu", threads: 1 });
  try {
    const found = await session.run(feeds);
    const objective = (outputs: Readonly<Record<string, Tensor>>) =>
      weights.reduce((sum, { data }, i) => sum + dot(data, outputs[`y${i}`]!.data), 0);
    for (const [i, { name }] of varied.entries()) {
      const expected = await differences(session, feeds, name, objective);
      const { dims, data } = found[`d${i}`]!;
      expect([name, dims]).toEqual([name, feeds[name]!.dims]);
      expectAllClose(data as Float32Array, expected, { rtol: 1e-3, atol: 3e-4 }, `dLoss/d${name}`);
    }
    return ops;
  } finally {
    await session.release();
  }
}

/** The outputs of a graph, in their order. */
async function run(graph: Graph, feeds: Readonly<Record<string, Tensor>>): Promise<Tensor[]> {
  const session = await Session.create(graph, { device: "cpu", threads: 1 });
  const outputs = await session.run(feeds);
  await session.release();
  return graph.outputs.map(({ name }) => outputs[name]!);
}

/** Random weights in ±[0.5, 1], none near zero, so that every element of a result counts. */
function weightsOf({ dtype, dims, data }: Tensor, result: number): Tensor {
  const weights = Array.from(
    { length: data.length },
    (_, i) => (0.5 + uniform(3n, result, i) / 2) * (uniform(4n, result, i) < 0.5 ? -1 : 1),
  );
  return dtype === "float64" ? { dtype, dims, data: Float64Array.from(weights) } : float32(weights, dims);
}

function dot(a: Tensor["data"], b: Tensor["data"]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Number(a[i]) * Number(b[i]);
  return sum;
}

/** The derivative of `objective` in each element of one input. */
async function differences(
  session: Session,
  feeds: Readonly<Record<string, Tensor>>,
  name: string,
  objective: (outputs: Readonly<Record<string, Tensor>>) => number,
): Promise<number[]> {
  const { dims, data } = feeds[name] as Tensor<"float32">;
  const out: number[] = [];
  for (let at = 0; at < data.length; at++) {
    const moved = async (steps: number) =>
      objective(await session.run({ ...feeds, [name]: float32(data.with(at, data[at]! + steps * step), dims) }));
    const [near, far] = [(await moved(1)) - (await moved(-1)), (await moved(2)) - (await moved(-2))];
    out.push((8 * near - far) / (12 * step));
  }
  return out;
}
