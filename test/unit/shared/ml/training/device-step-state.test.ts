import { normals } from "../../../../../services/shared/base/random.js";
import { float32, type Tensor } from "../../../../../services/shared/ml/graph/tensor.js";
import { loraOf } from "../../../../../services/shared/ml/models/adapter/layers.js";
import { lowRank } from "../../../../../services/shared/ml/models/adapter/low-rank.js";
import { elementsOf } from "../../../../../services/shared/ml/models/param-spec.js";
import { type Trainable, wholeModel } from "../../../../../services/shared/ml/models/trainable.js";
import { Trainer, type TrainerOptions } from "../../../../../services/shared/ml/training/trainer.js";
import { goldenTrain, trainSetup } from "../../../../support/models/golden-train.js";

const { config, weights, batch, options } = trainSetup(goldenTrain.tied);
const rate = 0.01;

/** An adapter on the queries' projections: the base is frozen, in memory. */
function adapterOf(): { readonly trainable: Trainable; readonly all: Map<string, Tensor<"float32">> } {
  const trainable = lowRank(config, loraOf(config, { r: 2, alpha: 3, useRslora: false, targetModules: ["q_proj"] }));
  const factors = trainable.specs.map((spec, i) => [spec.name, float32(normals(BigInt(i), elementsOf([spec]), 0.3), spec.dims)] as const);
  return { trainable, all: new Map([...weights, ...factors]) };
}

const bits = (params: ReadonlyMap<string, Tensor<"float32">>) => [...params].map(([name, { data }]) => [name, [...data]]);

/** Both trainers are native: what they differ in is where their state is. */
function pair(more: Partial<TrainerOptions>, trainable?: Trainable, from = weights): readonly [host: Trainer, device: Trainer] {
  const of = (stateOnDevice: boolean) =>
    new Trainer(config, from, { ...options, ...more, runtime: "native", stateOnDevice }, undefined, trainable);
  return [of(false), of(true)];
}

/** The norm is summed up in another order, which is seen where it clips. */
const unclipped = { optimizer: { ...options.optimizer, maxGradNorm: 0 } };

/** What a trainer has come to. */
async function stateOf(trainer: Trainer) {
  await trainer.fetch();
  const { params, m, v, updates } = trainer.state();
  return [bits(params), bits(m), bits(v), updates];
}

describe("a trainer whose state is on the device", () => {
  const adapter = adapterOf();
  const halfOfTokens = { ...options.objective, tokens: { by: "entropy", share: 0.5 } } as const;
  it.each([
    ["all weights, one micro-batch", {}, wholeModel(config), weights],
    ["all weights, one micro-batch per sequence", { microBatchTokens: 1 }, wholeModel(config), weights],
    ["all weights, by the half of the tokens with the most entropy", { objective: halfOfTokens }, wholeModel(config), weights],
    ["an adapter", { microBatchTokens: 1 }, adapter.trainable, adapter.all],
  ] as const)(
    "makes the weights and moments of one whose state is in this process, bit for bit but for the norm: %s",
    async (_, more, trainable, from) => {
      const [host, device] = pair({ ...more, ...unclipped }, trainable, from);
      for (let step = 1; step <= 3; step++) {
        const [found, expected] = [await device.step(batch, rate * step), await host.step(batch, rate * step)];
        expect(found).toEqual({ ...expected, gradientNorm: expect.closeTo(expected.gradientNorm, 5) });
      }
      expect(await stateOf(device)).toEqual(await stateOf(host));
      for (const one of [host, device]) await one.release();
    },
  );

  it("goes on where it was after what is minimised has changed, and when it was fetched in between", async () => {
    const [host, device] = pair(unclipped);
    for (const divergence of ["forward_kl", "reverse_kl"] as const) {
      for (const [trainer, stateOnDevice] of [[host, false] as const, [device, true] as const]) {
        await trainer.configure({
          ...options,
          ...unclipped,
          runtime: "native",
          stateOnDevice,
          objective: { ...options.objective, divergence },
        });
        await trainer.step(batch, rate);
      }
      expect(await stateOf(device)).toEqual(await stateOf(host));
    }
    for (const one of [host, device]) await one.release();
  });

  it("gives no weights that are older than its last step, and all of them once it was released", async () => {
    const [host, device] = pair(unclipped);
    for (const one of [host, device]) await one.step(batch, rate);
    for (const read of [() => device.params(), () => device.published(), () => device.moments(), () => device.state()])
      expect(read).toThrow("fetch() comes first");
    for (const one of [host, device]) await one.release();
    expect(bits(device.params())).toEqual(bits(host.params()));
  });

  it("keeps weights and moments when a step overflows", async () => {
    const [, device] = pair({});
    await device.step(batch, rate);
    const before = await stateOf(device);
    const broken = batch.map((sequence) => ({ ...sequence, samplerLogprobs: undefined, advantage: Number.MAX_VALUE }));
    await expect(
      (async () => {
        await device.configure({ ...options, runtime: "native", stateOnDevice: true, objective: { ...options.objective, alpha: 0 } });
        await device.step(broken as never, rate);
      })(),
    ).rejects.toMatchObject({ code: "DataLoss" });
    expect(await stateOf(device)).toEqual(before);
    await device.release();
  });

  it("is refused with the runtime stock, which can't keep it there", async () => {
    const trainer = new Trainer(config, weights, { ...options, runtime: "stock", stateOnDevice: true });
    await expect(trainer.step(batch, rate)).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringContaining("RETORT_RUNTIME=native"),
    });
    await trainer.release();
  });
});
