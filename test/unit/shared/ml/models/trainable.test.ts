import { normals } from "../../../../../services/shared/base/random.js";
import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import { loraOf } from "../../../../../services/shared/ml/models/adapter/layers.js";
import { lowRank } from "../../../../../services/shared/ml/models/adapter/low-rank.js";
import type { ModelConfig } from "../../../../../services/shared/ml/models/config/model-config.js";
import { paramSpecs } from "../../../../../services/shared/ml/models/model-params.js";
import { elementsOf, type ParamSpec, type Weights, weightOf } from "../../../../../services/shared/ml/models/param-spec.js";
import { someOf } from "../../../../../services/shared/ml/models/trainable.js";
import { Trainer } from "../../../../../services/shared/ml/training/trainer.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { goldenTrain, trainSetup } from "../../../../support/models/golden-train.js";

const rate = 0.01;

/** An adapter of rank 2 on the projections of queries and the feed-forward part's last, and factors of it that are not zero. */
function adapterOf(config: ModelConfig) {
  const lora = loraOf(config, { r: 2, alpha: 3, useRslora: false, targetModules: ["q_proj", "down_proj"] });
  const trainable = lowRank(config, lora);
  const factors = trainable.specs.map((spec, i) => [spec.name, float32(normals(BigInt(i), elementsOf([spec]), 0.3), spec.dims)] as const);
  return { trainable, factors };
}

describe.each(["tied", "untied"] as const)("a trainer, head %s,", (kind) => {
  const { config, weights, batch, options } = trainSetup(goldenTrain[kind]);
  const specs = paramSpecs(config);

  it("that trains some weights moves these as one that trains all, in its first step without clipping, and no other", async () => {
    const chosen = ({ name }: ParamSpec) => name.includes("layers.1.");
    const unclipped = { ...options, optimizer: { ...options.optimizer, maxGradNorm: 0 } };
    const [some, all] = [
      new Trainer(config, weights, unclipped, undefined, someOf(specs, chosen)),
      new Trainer(config, weights, unclipped),
    ];
    const stats = [await some.step(batch, rate), await all.step(batch, rate)];
    expect(stats[0]!.loss).toBe(stats[1]!.loss);
    expect(stats[0]!.gradientNorm).toBeLessThan(stats[1]!.gradientNorm);
    for (const spec of specs) {
      const expected = chosen(spec) ? all.params() : weights;
      expect({ [spec.name]: weightOf(some.params(), spec.name).data }).toEqual({ [spec.name]: weightOf(expected, spec.name).data });
    }
    expect([...some.state().m.keys()]).toEqual(specs.filter(chosen).map(({ name }) => name));
    await some.release();
    await all.release();
  });

  it("that trains some weights goes on from all the weights and the moments of these as if it had not stopped", async () => {
    const trainable = someOf(specs, ({ name }) => name.includes("layers.1."));
    const straight = new Trainer(config, weights, options, undefined, trainable);
    await straight.step(batch, rate);
    const [params, { m, v, updates }] = [straight.params(), straight.state()];
    expect([...params.keys()].sort()).toEqual(specs.map(({ name }) => name).sort());
    const resumed = new Trainer(config, params, options, { params, m, v, updates }, trainable);
    for (const trainer of [straight, resumed]) await trainer.step(batch, rate);
    for (const { name } of specs)
      expect({ [name]: weightOf(resumed.params(), name).data }).toEqual({ [name]: weightOf(straight.params(), name).data });
    await straight.release();
    await resumed.release();
  });

  it("that trains low-rank factors is at each step the model that they make with the frozen weights", async () => {
    const { trainable, factors } = adapterOf(config);
    for (const microBatchTokens of [1000, 18]) {
      const parts = { ...options, microBatchTokens };
      const adapted = new Trainer(config, new Map([...weights, ...factors]), parts, undefined, trainable);
      for (let step = 0; step < 3; step++) {
        const whole = new Trainer(config, adapted.params(), parts);
        const expected = await whole.step(batch, 0);
        const { loss, sequenceDivergence } = await adapted.step(batch, rate);
        expectAllClose([loss, ...sequenceDivergence], [expected.loss, ...expected.sequenceDivergence], { rtol: 1e-4, atol: 1e-6 });
        await whole.release();
      }
      const { params, m } = adapted.state();
      expect([...params.keys()]).toEqual(trainable.specs.map(({ name }) => name));
      expect([...m.values()].every(({ data }) => data.some((x) => x !== 0))).toBe(true);
      await adapted.release();
    }
  });

  it("that trains low-rank factors has the gradient that the loss has in them", async () => {
    const { trainable, factors } = adapterOf(config);
    // Plain gradient descent to first order: AdamW's first step from zero moments moves each number by the rate, against its gradient.
    const start = new Map([...weights, ...factors]);
    const lossAt = async (at: Weights) => {
      const trainer = new Trainer(config, at, options, undefined, trainable);
      const { loss } = await trainer.step(batch, 0);
      await trainer.release();
      return loss;
    };
    const trainer = new Trainer(
      config,
      start,
      { ...options, optimizer: { ...options.optimizer, weightDecay: 0, maxGradNorm: 0 } },
      undefined,
      trainable,
    );
    await trainer.step(batch, rate);
    const { m } = trainer.state();
    await trainer.release();
    const beta1 = options.optimizer.beta1;
    for (const { name, dims } of trainable.specs) {
      const at = weightOf(start, name);
      const gradient = weightOf(m, name).data.map((x) => x / (1 - beta1));
      const steepest = gradient.reduce((best, x, i) => (Math.abs(x) > Math.abs(gradient[best]!) ? i : best), 0);
      const moved = (by: number) =>
        new Map([
          ...start,
          [
            name,
            float32(
              at.data.map((x, i) => (i === steepest ? x + by : x)),
              dims,
            ),
          ],
        ]);
      const h = 0.02;
      const slope = ((await lossAt(moved(h))) - (await lossAt(moved(-h)))) / (2 * h);
      expectAllClose([slope], [gradient[steepest]!], { rtol: 0.02, atol: 1e-4 });
    }
  });
});
