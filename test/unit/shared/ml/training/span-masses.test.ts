import type { Objective } from "../../../../../services/shared/ml/losses/objective.js";
import { decoderInputs } from "../../../../../services/shared/ml/models/architectures/sequence-inputs.js";
import { microBatch, type TrainSequence } from "../../../../../services/shared/ml/training/batch.js";
import { spanMasses } from "../../../../../services/shared/ml/training/span-masses.js";
import { Trainer, type TrainerOptions } from "../../../../../services/shared/ml/training/trainer.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { firstStep, goldenTrain, inParts, trainSetup } from "../../../../support/models/golden-train.js";

const setup = trainSetup(goldenTrain.untied);
const k = 3;
const objective: Objective = { ...setup.options.objective, divergence: "uld", signal: "top_k", k, alpha: 1 };
const signal = { kind: "top_k", k, temperature: 1 } as const;
const none = Number.NEGATIVE_INFINITY;

/** The first token of the span of each, spans being as long as `length` says, over and over. */
function startsOf(count: number, lengths: readonly number[]): Int32Array {
  const starts = new Int32Array(count);
  for (let [at, i] = [0, 0]; at < count; i++) {
    const end = Math.min(count, at + lengths[i % lengths.length]!);
    starts.fill(at, at, end);
    at = end;
  }
  return starts;
}

/** The batch as a teacher with other tokens scores it, whose spans are so long; without lengths, as one with the same tokens does. */
const batchOf = (lengths?: readonly number[], beforeOf = (n: number) => -0.1 * (n % 4)): TrainSequence[] =>
  setup.batch.map(({ promptIds, completionIds, samplerLogprobs }) => {
    const count = completionIds.length;
    const starts = startsOf(count, lengths ?? [1]);
    const known = Uint8Array.from(starts, (start, n) => (starts[n + 1] === start ? 0 : 1));
    const probabilities = (n: number) => [0.5 + 0.01 * (n % 5), 0.2, 0.1];
    const classes = {
      ids: Int32Array.from({ length: count * k }, (_, i) => i % k),
      topLogprobs: Float32Array.from([...known].flatMap((one, n) => probabilities(n).map((p) => (one ? Math.log(p) : none)))),
      tail: Float32Array.from(known, (one, n) => (one ? Math.log(0.2 - 0.01 * (n % 5)) : 0)),
    };
    const before = Float32Array.from(known, (one, n) => (one ? beforeOf(n) : 0));
    const others = lengths && { spans: { starts, words: starts, alike: false, before }, known };
    const score = { signal, logprobs: new Float32Array(count), ...classes };
    return { promptIds, completionIds, ...(samplerLogprobs && { samplerLogprobs }), score, ...others };
  });

const stepOn = (batch: readonly TrainSequence[], options: Partial<TrainerOptions> = {}) =>
  firstStep({ ...setup, options: { ...setup.options, objective, ...options } }, batch, [...batch.keys()]);

const figures = ["loss", "divergence", "gradientNorm"] as const;

describe("spanMasses()", () => {
  it("has what stands before the last token of each span, and a slope for it", () => {
    const teacher = {
      topLogprobs: Float32Array.from([none, Math.log(0.9), Math.log(0.7)]),
      tail: Float32Array.from([0, 0.1, 0.3].map(Math.log)),
    };
    const student = {
      logprobs: Float32Array.from([0.5, 0.3, 0.2].map(Math.log)),
      ranks: Float32Array.from([0.6, 0.4, 0.8, 0.2, 0.9, 0.1].map(Math.log)),
    };
    const masses = spanMasses({ starts: Int32Array.of(0, 0, 2) }, { before: Float32Array.of(0, Math.log(0.5), 0) }, 2, teacher, student);
    expectAllClose(masses.studentBefore, [-1e4, Math.log(0.5), 0], { rtol: 1e-6 });
    expectAllClose(masses.teacherBefore, [-1e4, Math.log(0.5), 0], { rtol: 1e-6 });
    // 0.5·0.8 < 0.5·0.9, and 0.5·0.2 > 0.5·0.1.
    expectAllClose(masses.slopes, [2 * (-0.4 + 0.1), 0, 0], { rtol: 1e-6 });
  });
});

describe("a step on ranks over spans", () => {
  it("has nothing of a sequence, or of a token behind the spans, of which the teacher says nothing", async () => {
    const batch = batchOf([2, 1]);
    const silent = batch.map((sequence, i) => ({
      ...sequence,
      known: sequence.known!.map((one, n) => (i === 0 || n === sequence.known!.length - 1 ? 0 : one)),
    }));
    const { stats } = await stepOn(silent);
    const [first, ...others] = stats.watched;
    expect([...first!.divergence].every((value) => value === 0)).toBe(true);
    for (const { divergence } of others) expect(divergence.at(-1)).toBe(0);
    const total = (list: ArrayLike<number>) => Array.from(list).reduce((sum, one) => sum + one, 0);
    const counts = silent.map(({ known }) => total(known));
    const means = stats.watched.map(({ divergence }, i) => (counts[i] ? total(divergence) / counts[i]! : 0));
    const mean = total(means) / counts.filter((count) => count > 0).length;
    expectAllClose([stats.loss, stats.divergence], [mean, mean], { rtol: 1e-5, atol: 1e-6 });
    expectAllClose(stats.sequenceDivergence, means, { rtol: 1e-5, atol: 1e-6 });
  });

  it("is that over tokens where every span is a token of both", async () => {
    const [spans, tokens] = [await stepOn(batchOf([1], () => 0)), await stepOn(batchOf())];
    for (const name of figures) expectAllClose([spans.stats[name]], [tokens.stats[name]], { rtol: 1e-5, atol: 1e-7 });
    expectAllClose(spans.weights, tokens.weights, { rtol: 1e-4, atol: 1e-5 });
  });

  it.each([[[2, 1]], [[3]], [[100]]])("of lengths %j is the same in blocks of rows, and however the batch is split", async (lengths) => {
    // One sequence is scored by a teacher with the same tokens.
    const batch = [...batchOf(lengths).slice(0, -1), batchOf().at(-1)!];
    // Where the student has more than the teacher at every rank there's no gradient, and AdamW's usual epsilon makes a step of its rounding.
    const optimizer = { ...setup.options.optimizer, epsilon: 1e-6 };
    const whole = await stepOn(batch, { optimizer, blockRows: 0 });
    for (const options of [...inParts, { microBatchTokens: 1 }, { blockRows: 3, microBatchTokens: 18 }]) {
      const { stats, weights } = await stepOn(batch, { optimizer, ...options });
      for (const name of figures) expectAllClose([stats[name]], [whole.stats[name]], { rtol: 1e-5, atol: 1e-6 });
      expectAllClose(stats.sequenceDivergence, whole.stats.sequenceDivergence, { rtol: 1e-5, atol: 1e-6 });
      expectAllClose(weights, whole.weights, { rtol: 1e-3, atol: 2e-4 });
    }
  });

  it.each(["sequence", "token"] as const)(
    "is the mean over spans, by %s, and reported at the last token of each",
    async (normalisation) => {
      const batch = batchOf([2, 3]);
      const { stats } = await stepOn(batch, { objective: { ...objective, normalisation } });
      const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
      const sums = stats.watched.map(({ divergence }) => total([...divergence]));
      const counts = batch.map(({ known }) => total([...known!]));
      const mean = normalisation === "token" ? total(sums) / total(counts) : total(sums.map((sum, i) => sum / counts[i]!)) / batch.length;
      expectAllClose([stats.loss, stats.divergence], [mean, mean], { rtol: 1e-5, atol: 1e-6 });
      for (const [i, { divergence }] of stats.watched.entries())
        expect([...divergence].map((value) => value > 0)).toEqual([...batch[i]!.known!].map((one) => one === 1));
      expect(stats.topOverlap).toBeUndefined();
    },
  );

  it("brings the student's probabilities closer to the teacher's ranks", async () => {
    const trainer = new Trainer(setup.config, setup.weights, { ...setup.options, objective });
    const losses: number[] = [];
    for (let step = 0; step < 40; step++) losses.push((await trainer.step(batchOf([2, 1]), 0.01)).loss);
    await trainer.release();
    expect(losses.at(-1)!).toBeLessThan(0.5 * losses[0]!);
  });

  it("multiplies all of its gradient by the temperature squared", async () => {
    const warm = { ...objective, studentTemperature: 1.5, teacherTemperature: 1 };
    const [plain, squared] = [
      await stepOn(batchOf([2, 1]), { objective: warm }),
      await stepOn(batchOf([2, 1]), { objective: { ...warm, temperatureSquared: true } }),
    ];
    expectAllClose([squared.stats.gradientNorm], [1.5 ** 2 * plain.stats.gradientNorm], { rtol: 1e-4 });
    expectAllClose([squared.stats.loss, squared.stats.divergence], [1.5 ** 2 * plain.stats.loss, plain.stats.divergence], { rtol: 1e-5 });
  });

  it("refuses spans without the teacher's probability of what stands before", () => {
    const [first] = batchOf([2]);
    const { before: _, ...spans } = first!.spans!;
    const layout = { inputs: decoderInputs, padId: 0, vocab: setup.config.vocabSize, objective, blockRows: 0 };
    expect(() => microBatch([{ ...first!, spans }], [0], layout)).toThrow(/sequence 0: spans.before has 0 entries for/);
  });
});
