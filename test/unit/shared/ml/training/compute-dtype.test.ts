import { halfOnCpu } from "../../../../../services/shared/ml/graph/half-on-cpu.js";
import { float32, type Tensor } from "../../../../../services/shared/ml/graph/tensor.js";
import { initialFactors, loraOf } from "../../../../../services/shared/ml/models/adapter/layers.js";
import { lowRank } from "../../../../../services/shared/ml/models/adapter/low-rank.js";
import { inputsOf } from "../../../../../services/shared/ml/models/architectures/table.js";
import type { Model } from "../../../../../services/shared/ml/models/model.js";
import { weightsAt } from "../../../../../services/shared/ml/models/precision/dtype.js";
import { wholeModel } from "../../../../../services/shared/ml/models/trainable.js";
import { learningRate } from "../../../../../services/shared/ml/optim/schedule.js";
import { type Feeds, Session } from "../../../../../services/shared/ml/runtime/session.js";
import { microBatch } from "../../../../../services/shared/ml/training/batch.js";
import { firstLossScale, grownLossScale, halvedLossScale } from "../../../../../services/shared/ml/training/loss-scale.js";
import type { TrainerState } from "../../../../../services/shared/ml/training/optimizer-state.js";
import { accumulateGraph, gradientsGraph, type StepGraphOptions } from "../../../../../services/shared/ml/training/step-graph.js";
import { Trainer, type TrainerOptions } from "../../../../../services/shared/ml/training/trainer.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { plainObjective } from "../../../../support/loss/loss.js";
import { goldenTrain, trainSetup } from "../../../../support/models/golden-train.js";
import { calm, smallConfigs, smallModel } from "../../../../support/models/small-model.js";
import { smallT5, t5Configs } from "../../../../support/models/small-t5.js";

const objective = { ...plainObjective, divergence: "cross_entropy" as const };
const sequences = [5, 1, 8].map((length, i) => ({
  promptIds: Int32Array.from({ length: 2 + i }, (_, t) => (5 + 7 * t + i) % 90),
  completionIds: Int32Array.from({ length }, (_, n) => (9 + 31 * n + i) % 90),
}));
const scale = 1024;

type Half = "float16" | "bfloat16";

/** Loss and gradients, those of float16 divided by the scale again. */
async function derived({ config, params }: Model, how: Partial<StepGraphOptions> = {}, add = false): Promise<Feeds> {
  const blockRows = how.blocks ? 4 : 0;
  const { feeds } = microBatch(sequences, [0, 1, 2], { inputs: inputsOf(config), padId: 0, vocab: config.vocabSize, objective, blockRows });
  const options = { config, trainable: wholeModel(config), objective, blocks: false, ...how };
  const graph = halfOnCpu(add ? accumulateGraph(options) : gradientsGraph(options));
  const session = await Session.create(graph, { device: "cpu", threads: 1, asWritten: true });
  const given = Object.fromEntries(
    [...params].map(([name, { data, dims }]) => [`g:${name}`, float32(new Float32Array(data.length), dims)]),
  );
  const scaled: Feeds = how.computeDtype === "float16" ? { lossScale: float32([scale], []) } : {};
  const outputs = await session.run({ ...feeds, ...Object.fromEntries(params), ...(add ? given : {}), ...scaled });
  await session.release();
  return outputs;
}

const gradientsIn = (outputs: Feeds): [string, Float32Array][] =>
  Object.entries(outputs).flatMap(([name, { data }]) => (name.startsWith("next:g:") ? [[name.slice(7), data as Float32Array]] : []));

const norm = (x: Float32Array): number => Math.sqrt(x.reduce((sum, one) => sum + one * one, 0));

/** ‖a/s − b‖ / ‖b‖ over all gradients. */
function distance(a: Feeds, b: Feeds, s: number): number {
  const exact = new Map(gradientsIn(b));
  const apart = gradientsIn(a).map(([name, x]) => norm(x.map((one, i) => one / s - (exact.get(name)![i] as number))));
  return Math.hypot(...apart) / Math.hypot(...[...exact.values()].map(norm));
}

const models: readonly (readonly [string, () => Model])[] = [
  ...Object.entries(smallConfigs).map(([name, config]) => [name, () => calm(smallModel(config))] as const),
  ...Object.entries(t5Configs).map(([name, config]) => [name, () => calm(smallT5(config))] as const),
];

/** What float32 gives of each of the models, which every other type is compared with. */
const inFloat32 = new Map<string, Promise<Feeds>>();
const exactOf = (name: string, model: Model): Promise<Feeds> => {
  const known = inFloat32.get(name) ?? derived(model);
  inFloat32.set(name, known);
  return known;
};

/** Largest share of a gradient that rounding may make: units in the last place are 2^-11 and 2^-8. */
const bounds: Readonly<Record<Half, number>> = { float16: 0.01, bfloat16: 0.06 };

describe.each(["float16", "bfloat16"] as const)("a step whose products are computed in %s", (computeDtype) => {
  it.each(models)("has the gradient of float32 but for rounding: %s", async (name, make) => {
    const model = make();
    const [half, exact] = [await derived(model, { computeDtype }), await exactOf(name, model)];
    const apart = distance(half, exact, computeDtype === "float16" ? scale : 1);
    expect(apart).toBeLessThan(bounds[computeDtype]);
    // It is half precision that was computed in.
    expect(apart).toBeGreaterThan(bounds[computeDtype] / 1000);
    expectAllClose(half.loss!.data as Float32Array, exact.loss!.data as Float32Array, { rtol: bounds[computeDtype] / 4 }, "loss");
  });

  it.each([
    ["block by block", { blocks: true }, false],
    ["added to others", {}, true],
    ["with layers that are computed again", { gradientCheckpointing: true }, false],
  ] as const)("has the same %s", async (_, how, add) => {
    const [other, usual] = [
      await derived(calm(smallModel()), { computeDtype, ...how }, add),
      await derived(calm(smallModel()), { computeDtype }),
    ];
    expect(distance(other, usual, 1)).toBeLessThan(how && "gradientCheckpointing" in how ? 1e-12 : bounds[computeDtype] / 10);
  });
});

const { config, weights, batch, options } = trainSetup(goldenTrain.tied);
const inFloat16: TrainerOptions = { ...options, computeDtype: "float16", microBatchTokens: 18 };

async function tenSteps(how: Partial<TrainerOptions> = {}, state?: TrainerState, from = 1, to = 10) {
  const trainer = new Trainer(config, weights, { ...inFloat16, ...how }, state);
  const stats = [];
  for (let step = from; step <= to; step++) stats.push(await trainer.step(batch, learningRate(goldenTrain.schedule, step)));
  await trainer.fetch();
  const after = trainer.state();
  await trainer.release();
  return { stats, state: after };
}

const bitsOf = (tensors: ReadonlyMap<string, Tensor<"float32">>) =>
  [...tensors].map(([name, { data }]) => [name, Buffer.from(data.buffer).toString("hex")]);

describe("a trainer whose products are computed in float16", () => {
  it("follows PyTorch's ten steps of float32", async () => {
    const { stats, state } = await tenSteps();
    for (const [i, { loss, gradientNorm, lossScale }] of stats.entries()) {
      const expected = goldenTrain.tied.steps[i]!;
      expectAllClose([loss, gradientNorm], [expected.loss, expected.gradientNorm], { rtol: 0.01 }, `step ${i + 1}: [loss, norm]`);
      expect(lossScale).toBe(2 ** 16);
    }
    // What hardly has a gradient moves by its sign.
    let [apart, moved] = [0, 0];
    for (const [name, expected] of Object.entries(goldenTrain.tied.final))
      for (const [i, x] of expected.entries()) {
        apart += (state.params.get(name)!.data[i]! - x) ** 2;
        moved += (x - goldenTrain.tied.initial[name]![i]!) ** 2;
      }
    expect(Math.sqrt(apart / moved)).toBeLessThan(0.05);
  });

  it("makes the same bits again, with its state on the device, and where it goes on from a state", async () => {
    const whole = await tenSteps();
    const onDevice = await tenSteps({ runtime: "native", stateOnDevice: true });
    const first = await tenSteps({}, undefined, 1, 4);
    const resumed = await tenSteps({}, first.state, 5);
    expect(bitsOf(resumed.state.params)).toEqual(bitsOf(whole.state.params));
    for (const [name, { data }] of whole.state.params)
      expectAllClose(onDevice.state.params.get(name)!.data, data, { rtol: 1e-3, atol: 1e-4 }, name);
    for (const { state } of [onDevice, resumed]) expect(state.lossScale).toEqual(whole.state.lossScale);
    expect(whole.state.lossScale).toEqual({ scale: 2 ** 16, updates: 10 });
  });

  it("halves a scale at which gradients overflow until they don't, and makes the step", async () => {
    const { state } = await tenSteps({}, undefined, 1, 1);
    const usual = await tenSteps({}, { ...state, lossScale: firstLossScale }, 2, 2);
    const { state: again } = await tenSteps({}, undefined, 1, 1);
    const high = await tenSteps({}, { ...again, lossScale: { scale: 2 ** 40, updates: 7 } }, 2, 2);
    const used = high.stats[0]!.lossScale!;
    expect(used).toBeLessThan(2 ** 40);
    expect(used).toBeGreaterThan(2 ** 8);
    expect(high.state.lossScale).toEqual({ scale: used, updates: 1 });
    expect(high.state.updates).toBe(2);
    expectAllClose([high.stats[0]!.gradientNorm], [usual.stats[0]!.gradientNorm], { rtol: 5e-3 });
    // What was added up before the step was computed again counts once.
    expect(high.stats[0]!.completionTokens).toBe(usual.stats[0]!.completionTokens);
    expect(high.stats[0]!.loss).toBe(usual.stats[0]!.loss);
  });

  it("refuses a step whose activations overflow, and leaves the weights as they were", async () => {
    const large = new Map(
      [...weights].map(([name, { data, dims }]) => [
        name,
        name.endsWith("down_proj.weight")
          ? float32(
              data.map((x) => 1e9 * x),
              dims,
            )
          : float32(data.slice(), dims),
      ]),
    );
    const trainer = new Trainer(config, large, inFloat16);
    const before = bitsOf(trainer.params());
    await expect(trainer.step(batch, 1e-3)).rejects.toMatchObject({
      code: "DataLoss",
      message: expect.stringContaining("optimizer.computeDtype"),
    });
    expect(bitsOf(trainer.params())).toEqual(before);
    await trainer.release();
  });

  it("trains an adapter on a base that is held in float16, as it lies there", async () => {
    const model = calm(smallModel());
    const lora = loraOf(model.config, { r: 2, alpha: 4, useRslora: false, targetModules: ["all-linear"] });
    const held = weightsAt(model.config, model.params, "float16");
    const factors = initialFactors(model.config, lora, 3n);
    const losses = async (computeDtype: "float16" | "float32") => {
      const how: TrainerOptions = { ...options, objective, computeDtype, microBatchTokens: 1000 };
      const trainer = new Trainer(model.config, new Map([...held.weights, ...factors]), how, undefined, lowRank(model.config, lora));
      const all = [];
      for (let step = 0; step < 5; step++) all.push((await trainer.step(sequences, 0.01)).loss);
      await trainer.release();
      return all;
    };
    const [half, exact] = [await losses("float16"), await losses("float32")];
    expectAllClose(half, exact, { rtol: 5e-3 });
    expect(half[4]!).toBeLessThan(half[0]!);
    held.close();
  });
});

describe("a loss scale", () => {
  it("is doubled after 2000 updates in a row, and no more than float32 can hold the square of", () => {
    let at = firstLossScale;
    for (let update = 0; update < 1999; update++) at = grownLossScale(at);
    expect(at).toEqual({ scale: 2 ** 16, updates: 1999 });
    expect(grownLossScale(at)).toEqual({ scale: 2 ** 17, updates: 0 });
    expect(grownLossScale({ scale: 2 ** 60, updates: 1999 })).toEqual({ scale: 2 ** 60, updates: 0 });
  });

  it("is halved down to 1", () => {
    expect(halvedLossScale({ scale: 8, updates: 5 })).toEqual({ scale: 4, updates: 0 });
    expect(() => halvedLossScale({ scale: 1, updates: 0 })).toThrow("optimizer.computeDtype bfloat16 or float32");
  });
});
