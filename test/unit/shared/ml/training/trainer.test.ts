import { normals } from "../../../../../services/shared/base/random.js";
import { float32, type Tensor } from "../../../../../services/shared/ml/graph/tensor.js";
import type { Objective } from "../../../../../services/shared/ml/losses/objective.js";
import type { TrainSequence } from "../../../../../services/shared/ml/training/batch.js";
import { Trainer, type TrainerOptions } from "../../../../../services/shared/ml/training/trainer.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { logSoftmaxRows } from "../../../../support/loss/distributions.js";
import { goldenTrain, trainSetup } from "../../../../support/models/golden-train.js";

const setup = trainSetup(goldenTrain.untied);
const rate = 0.01;

const trainerWith = (objective: Partial<Objective> = {}, options: Partial<TrainerOptions> = {}) =>
  new Trainer(setup.config, setup.weights, { ...setup.options, ...options, objective: { ...setup.options.objective, ...objective } });

const bitsOf = (params: ReadonlyMap<string, Tensor<"float32">>) =>
  [...params].map(([name, { data }]) => `${name}:${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64")}`);

/** The learner's own log-probabilities and entropies of the batch: what a step of learning rate 0 reports. */
async function learnerLogprobs(batch: readonly TrainSequence[]): Promise<number[]> {
  const trainer = trainerWith({ divergence: "cross_entropy" });
  const singles = await Promise.all(batch.map(async () => 0));
  for (const [i, sequence] of batch.entries()) singles[i] = -(await trainer.step([sequence], 0)).sequenceDivergence[0]!;
  await trainer.release();
  return singles;
}

describe("Trainer", () => {
  it.each(["sequence", "token"] as const)("gives the same update however a batch is split, normalised by %s", async (normalisation) => {
    const updates = await Promise.all(
      [0, 1000, 18, 1].map(async (microBatchTokens) => {
        const trainer = trainerWith({ normalisation }, { microBatchTokens });
        const stats = await trainer.step(setup.batch, rate);
        await trainer.release();
        return stats;
      }),
    );
    for (const { loss, gradientNorm, divergence, sequenceDivergence } of updates.slice(1)) {
      expectAllClose([loss, gradientNorm, divergence], [updates[0]!.loss, updates[0]!.gradientNorm, updates[0]!.divergence], {
        rtol: 1e-5,
      });
      expectAllClose(sequenceDivergence, updates[0]!.sequenceDivergence, { rtol: 1e-5 });
    }
  });

  it.each([{ blockRows: 7 }, { blockRows: 0, sliceRows: 4 }])(
    "leaves the gradient of the first position alone where rows fill up, though it predicts a token: %o",
    async (options) => {
      const batch = setup.batch.map((sequence) => ({ ...sequence, promptIds: sequence.promptIds.slice(-1) }));
      const steps = await Promise.all(
        [{ blockRows: 0, sliceRows: 0 }, options].map(async (how) => {
          const trainer = trainerWith({}, how);
          const { gradientNorm } = await trainer.step(batch, rate);
          const weights = [...trainer.params().values()].flatMap(({ data }) => [...data]);
          await trainer.release();
          return { gradientNorm, weights };
        }),
      );
      expectAllClose([steps[1]!.gradientNorm], [steps[0]!.gradientNorm], { rtol: 1e-5 });
      expectAllClose(steps[1]!.weights, steps[0]!.weights, { atol: 1e-6 });
    },
  );

  it("reports the tokens of the sequences that are watched, however a batch is split, and no others", async () => {
    const reports = await Promise.all(
      [0, 18, 1].map(async (microBatchTokens) => {
        const trainer = trainerWith({}, { microBatchTokens });
        const stats = await trainer.step(setup.batch, 0, [2, 0]);
        const plain = await trainer.step(setup.batch, 0);
        await trainer.release();
        expect(plain.watched).toEqual([]);
        return stats;
      }),
    );
    const means = await learnerLogprobs(setup.batch);
    for (const { watched, sequenceDivergence } of reports) {
      expect(watched).toHaveLength(2);
      for (const [i, member] of [2, 0].entries()) {
        const { divergence, entropy, logprobs } = watched[i]!;
        const tokens = setup.batch[member]!.completionIds.length;
        expect([divergence.length, entropy.length, logprobs.length]).toEqual([tokens, tokens, tokens]);
        const mean = (values: Float32Array) => values.reduce((a, b) => a + b) / tokens;
        expectAllClose([mean(divergence)], [sequenceDivergence[member]!], { rtol: 1e-5 });
        expectAllClose([mean(logprobs)], [means[member]!], { rtol: 1e-4 });
        for (const key of ["divergence", "entropy", "logprobs"] as const)
          expectAllClose(watched[i]![key], reports[0]!.watched[i]![key], { rtol: 1e-4, atol: 1e-6 });
      }
    }
  });

  it("normalises by sequence as the mean of means, by token as the mean over tokens", async () => {
    const [bySequence, byToken] = await Promise.all(
      (["sequence", "token"] as const).map(async (normalisation) => {
        const trainer = trainerWith({ normalisation });
        const stats = await trainer.step(setup.batch, 0);
        await trainer.release();
        return stats;
      }),
    );
    const means = [...bySequence!.sequenceDivergence];
    const lengths = setup.batch.map(({ completionIds }) => completionIds.length);
    expectAllClose([bySequence!.loss], [means.reduce((a, b) => a + b) / means.length]);
    const tokens = lengths.reduce((a, b) => a + b);
    expect(byToken!.completionTokens).toBe(tokens);
    expectAllClose([byToken!.loss], [means.reduce((sum, mean, i) => sum + mean * lengths[i]!, 0) / tokens]);
  });

  it("makes bit-identical weights from the same inputs, also after a restore in the middle", async () => {
    const [straight, other] = [trainerWith(), trainerWith()];
    for (let step = 0; step < 4; step++) await straight.step(setup.batch, rate);
    for (let step = 0; step < 2; step++) await other.step(setup.batch, rate);
    const resumed = new Trainer(setup.config, setup.weights, setup.options, other.state());
    for (let step = 0; step < 2; step++) await resumed.step(setup.batch, rate);
    expect(bitsOf(resumed.params())).toEqual(bitsOf(straight.params()));
    expect(resumed.state().updates).toBe(4);
    for (const trainer of [straight, other, resumed]) await trainer.release();
  });

  it.each([1000, 1])(
    "keeps weights and moments when a step overflows, and says so: micro-batches of %i tokens",
    async (microBatchTokens) => {
      const trainer = trainerWith({}, { microBatchTokens });
      await trainer.step(setup.batch, rate);
      const norm = trainer.published().weights.get("model.norm.weight")!.data;
      const kept = norm.slice();
      norm.fill(3e38);
      const bits = () => {
        const { params, m, v, updates } = trainer.state();
        return [bitsOf(params), bitsOf(m), bitsOf(v), updates];
      };
      const before = bits();
      await expect(trainer.step(setup.batch, rate)).rejects.toMatchObject({ code: "DataLoss" });
      expect(bits()).toEqual(before);
      // Nothing of that step stays behind: the next is as if it had not been.
      norm.set(kept);
      const straight = trainerWith({}, { microBatchTokens });
      for (const step of [1, 2]) await straight.step(setup.batch, rate * step);
      await trainer.step(setup.batch, rate * 2);
      expect(bits()[0]).toEqual(bitsOf(straight.params()));
      for (const one of [trainer, straight]) await one.release();
    },
  );

  it("goes on from a state, and copies weights", async () => {
    const trainer = trainerWith();
    await trainer.step(setup.batch, rate);
    const state = trainer.state();
    const resumed = new Trainer(setup.config, setup.weights, setup.options, state);
    expect(resumed.published().weights.get("model.norm.weight")).toEqual(state.params.get("model.norm.weight"));
    expect(trainer.published().weights.get("model.norm.weight")!.data).not.toBe(setup.weights.get("model.norm.weight")!.data);
    for (const one of [trainer, resumed]) await one.release();
  });

  it("learns the end token although it is also the pad token, and from a completion that is the end token alone", async () => {
    expect(setup.config.padId).toBe(setup.config.eosIds[0]);
    const trainer = trainerWith({ divergence: "cross_entropy" });
    const ends = [setup.batch[2]!];
    const first = await trainer.step(ends, rate);
    expect(first.completionTokens).toBe(1);
    for (let step = 0; step < 20; step++) await trainer.step(ends, rate);
    expect((await trainer.step(ends, 0)).loss).toBeLessThan(first.loss / 4);
    await trainer.release();
  });

  it("raises what a positive advantage names and lowers what a negative one does, by reward alone", async () => {
    const sampler = await learnerLogprobs(setup.batch);
    const rewarded = setup.batch.slice(0, 2).map((sequence, i) => ({
      ...sequence,
      advantage: i === 0 ? 1 : -1,
      samplerLogprobs: new Float32Array(sequence.completionIds.length).fill(sampler[i]!),
    }));
    const trainer = trainerWith({ alpha: 0 });
    for (let step = 0; step < 3; step++) await trainer.step(rewarded, 0.003);
    const after = await trainer.step(rewarded, 0);
    // Without a divergence the report is the negative log-likelihood.
    expect(-after.sequenceDivergence[0]!).toBeGreaterThan(sampler[0]!);
    expect(-after.sequenceDivergence[1]!).toBeLessThan(sampler[1]!);
    await trainer.release();
  });

  it("reports no mismatch when sampler and learner agree, and k3 where they do not", async () => {
    const single = [setup.batch[2]!];
    const [own] = await learnerLogprobs(single);
    const trainer = trainerWith();
    const step = (gap: number) => trainer.step([{ ...single[0]!, samplerLogprobs: Float32Array.of(own! - gap) }], 0);
    expectAllClose([(await step(0)).mismatchKl], [0], { atol: 1e-7 });
    expectAllClose([(await step(0.5)).mismatchKl], [Math.exp(0.5) - 1 - 0.5], { rtol: 1e-4 });
    const mixed = await trainer.step(
      [
        { ...single[0]!, samplerLogprobs: Float32Array.of(own! - 2) },
        { ...single[0]!, samplerLogprobs: Float32Array.of(own!) },
      ],
      0,
    );
    const weights = [Math.exp(2), 1];
    expectAllClose([mixed.effectiveSampleShare], [(weights[0]! + weights[1]!) ** 2 / (weights[0]! ** 2 + weights[1]! ** 2) / 2], {
      rtol: 1e-4,
    });
    await trainer.release();
  });
});

describe("Trainer refuses", () => {
  const [first] = setup.batch as [TrainSequence];
  const score = first.score!;
  const full = score.full!;
  it.each<[string, Partial<TrainSequence>, RegExp]>([
    ["a sequence without a score", { score: undefined }, /no teacher score/],
    ["a score of another vocabulary", { score: { ...score, full: full.subarray(4) } }, /score\.full has 48 elements, expected 52/],
    ["NaN in a score", { score: { ...score, full: full.with(7, Number.NaN) } }, /score\.full\[7\] is NaN/],
    ["a score above probability 1", { score: { ...score, logprobs: score.logprobs!.with(0, 2) } }, /score\.logprobs\[0\] is 2/],
    ["an empty completion", { completionIds: new Int32Array(0) }, /at least one token/],
    ["an empty prompt", { promptIds: new Int32Array(0) }, /at least one token/],
    ["a token outside the vocabulary", { promptIds: Int32Array.of(13) }, /token id 13 is outside the student's vocabulary of 13/],
    ["a sequence longer than the model's positions", { promptIds: new Int32Array(40) }, /exceed the model's 32 positions/],
    ["sampler log-probabilities of another length", { samplerLogprobs: new Float32Array(3) }, /3 entries for 4 completion tokens/],
    ["an infinite advantage", { advantage: Number.POSITIVE_INFINITY }, /advantage is Infinity/],
  ])("%s, and leaves the weights alone", async (_, change, message) => {
    const trainer = trainerWith();
    await expect(trainer.step([{ ...first, ...change }], rate)).rejects.toMatchObject({
      code: "InvalidArgument",
      message: expect.stringMatching(message),
    });
    expect(bitsOf(trainer.params())).toEqual(bitsOf(setup.weights));
    await trainer.release();
  });

  it("settings out of bounds, all at once", () => {
    expect(() => trainerWith({ alpha: 2, studentTemperature: 0, signal: "top_k", k: 14 })).toThrow(
      /3 problems[\s\S]*objective\.alpha[\s\S]*objective\.studentTemperature[\s\S]*objective\.topK: is 14; it must lie in \[1, 13/,
    );
  });
});

describe("Trainer with the hidden states of two teachers", () => {
  const { config } = setup;
  const widths = [3, 4];
  const teachers = widths.map((width, i) => float32(normals(BigInt(20 + i), config.vocabSize * width, 1), [config.vocabSize, width]));
  const states = setup.batch.map(({ completionIds }, i) => normals(BigInt(30 + i), completionIds.length * widths[i % 2]!, 1));

  it.each<[string, readonly (number | undefined)[], number, Partial<TrainerOptions>]>([
    ["as it is", [undefined, undefined], 1, {}],
    ["with a cap on the logits of one, below a temperature", [undefined, 1.5], 2, {}],
    ["block by block", [0.75, 1.5], 1, { blockRows: 2 }],
    ["slice by slice", [undefined, 1.5], 2, { sliceRows: 2 }],
    ["slices of blocks", [0.75, undefined], 1, { blockRows: 6, sliceRows: 3 }],
  ])("takes the step that their whole distributions give, each through its own head: %s", async (_, caps, teacherTemperature, options) => {
    const whole = trainerWith({ divergence: "jsd" });
    const hidden = trainerWith({ divergence: "jsd", signal: "hidden", hiddenDtype: "float32", teacherTemperature }, options);
    const digests = teachers.map((head, i) => hidden.addHead({ ...head, softCap: caps[i] }));
    const signal = { kind: "hidden", k: 0, temperature: teacherTemperature, hiddenDtype: "float32" } as const;
    const byStates = setup.batch.map((sequence, i) => ({
      ...sequence,
      score: { signal, hidden: states[i]!, headDigest: digests[i % 2]! },
    }));
    const byWhole = setup.batch.map((sequence, i) => ({
      ...sequence,
      score: { ...sequence.score!, full: distribution(i, caps[i % 2], teacherTemperature) },
    }));
    const [expected, found] = [await whole.step(byWhole, rate), await hidden.step(byStates, rate)];
    const figures = ({ loss, gradientNorm, sequenceDivergence }: typeof expected) => [loss, gradientNorm, ...sequenceDivergence];
    expectAllClose(figures(found), figures(expected), { rtol: 1e-5 });
    for (const trainer of [whole, hidden]) await trainer.release();
  });

  /** What sequence i's head makes of its states. */
  function distribution(i: number, cap: number | undefined, temperature: number): Float32Array {
    const [head, width] = [teachers[i % 2]!.data, widths[i % 2]!];
    const logits = Array.from({ length: (states[i]!.length / width) * config.vocabSize }, (_, at) => {
      const [n, v] = [Math.floor(at / config.vocabSize), at % config.vocabSize];
      const logit = Array.from({ length: width }, (_, d) => states[i]![n * width + d]! * head[v * width + d]!).reduce((a, b) => a + b);
      return (cap === undefined ? logit : cap * Math.tanh(logit / cap)) / temperature;
    });
    return Float32Array.from(logSoftmaxRows(logits, config.vocabSize));
  }

  it("refuses a head of another vocabulary", () => {
    expect(() => trainerWith().addHead(float32(new Float32Array(4), [2, 2]))).toThrow(
      /the teacher's head speaks of 2 classes, the student's vocabulary has 13/,
    );
  });
});
