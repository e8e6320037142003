import type { Objective } from "../../../../../services/shared/ml/losses/objective.js";
import type { TrainSequence } from "../../../../../services/shared/ml/training/batch.js";
import { knownTokens } from "../../../../../services/shared/ml/training/known-tokens.js";
import type { TrainerOptions } from "../../../../../services/shared/ml/training/trainer.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { firstStep, goldenTrain, inParts, trainSetup } from "../../../../support/models/golden-train.js";

const setup = trainSetup(goldenTrain.untied);
const { vocabSize } = setup.config;
const k = 4;
const objective: Objective = { ...setup.options.objective, divergence: "reverse_kl", signal: "top_k", k, alpha: 1 };
const signal = { kind: "top_k", k, temperature: 1 } as const;

/** A teacher's classes at each of a completion's tokens, of which it says something of the first `said` alone. */
function scoreOf(count: number, said: (n: number) => number) {
  const ids = Int32Array.from({ length: count * k }, (_, i) => (3 * Math.floor(i / k) + (i % k)) % vocabSize);
  const top = Float32Array.from(ids, (_, i) => (i % k < said(Math.floor(i / k)) ? -1.7 - 0.1 * (i % 7) : Number.NEGATIVE_INFINITY));
  const restOf = (n: number) => Math.log(1 - top.subarray(n * k, (n + 1) * k).reduce((sum, logprob) => sum + Math.exp(logprob), 0));
  return {
    signal,
    ids,
    topLogprobs: top,
    tail: Float32Array.from({ length: count }, (_, n) => restOf(n)),
    logprobs: new Float32Array(count),
  };
}

const each = (count: number) => Int32Array.from({ length: count }, (_, n) => n);

/** The batch as a teacher with the same tokens scores it, or one with others: then it says something where `known` says so. */
const batchOf = (known?: (n: number) => boolean, said = (_: number) => k): TrainSequence[] =>
  setup.batch.map(({ promptIds, completionIds, samplerLogprobs }) => {
    const count = completionIds.length;
    const score = scoreOf(count, (n) => (known?.(n) === false ? 0 : said(n)));
    const spans = { starts: each(count), words: each(count), alike: true };
    const others = known && { spans, known: Uint8Array.from(completionIds, (_, n) => (known(n) ? 1 : 0)) };
    return { promptIds, completionIds, ...(samplerLogprobs && { samplerLogprobs }), score, ...others };
  });

const stepOn = (batch: readonly TrainSequence[], options: Partial<TrainerOptions> = {}) =>
  firstStep({ ...setup, options: { ...setup.options, objective, ...options } }, batch, [...batch.keys()]);

const figures = ["loss", "divergence", "gradientNorm"] as const;

describe("a step on what teachers with other tokens expect", () => {
  it("is that of top_k where they say something of every token and class", async () => {
    const [others, same] = [await stepOn(batchOf(() => true)), await stepOn(batchOf())];
    for (const name of figures) expectAllClose([others.stats[name]], [same.stats[name]], { rtol: 1e-5, atol: 1e-7 });
    expectAllClose(others.weights, same.weights, { rtol: 1e-4, atol: 1e-5 });
    // Their most probable classes are not the student's to have.
    expect([others.stats.topOverlap, typeof same.stats.topOverlap]).toEqual([undefined, "number"]);
  });

  it.each(["sequence", "token"] as const)("is the mean over the tokens of which they say something, by %s", async (normalisation) => {
    const known = (n: number) => n % 3 !== 1;
    const batch = batchOf(known, (n) => 1 + (n % k));
    const { stats } = await stepOn(batch, { objective: { ...objective, normalisation } });
    const sums = stats.watched.map(({ divergence }) => [...divergence].filter((_, n) => known(n)).reduce((a, b) => a + b, 0));
    const counts = batch.map(({ completionIds }) => [...completionIds].filter((_, n) => known(n)).length);
    const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
    const mean = normalisation === "token" ? total(sums) / total(counts) : total(sums.map((sum, i) => sum / counts[i]!)) / batch.length;
    expectAllClose([stats.loss, stats.divergence], [mean, mean], { rtol: 1e-5, atol: 1e-6 });
    expectAllClose(
      stats.sequenceDivergence,
      sums.map((sum, i) => sum / counts[i]!),
      { rtol: 1e-5, atol: 1e-6 },
    );
    // Of the others nothing is said, and nothing reported.
    for (const { divergence } of stats.watched)
      expectAllClose(
        divergence.map((value, n) => (known(n) ? 0 : value)),
        new Float32Array(divergence.length),
        { atol: 1e-6 },
      );
  });

  it("is the same in blocks of rows, and however the batch is split, beside teachers of the student's tokens", async () => {
    const others = batchOf(
      (n) => n % 4 !== 2,
      (n) => n % (k + 1),
    );
    const batch = [...others.slice(0, -1), batchOf().at(-1)!];
    const whole = await stepOn(batch, { blockRows: 0 });
    for (const options of [...inParts, { microBatchTokens: 1 }, { blockRows: 3, microBatchTokens: 18 }]) {
      const { stats, weights } = await stepOn(batch, options);
      for (const name of figures) expectAllClose([stats[name]], [whole.stats[name]], { rtol: 1e-5, atol: 1e-6 });
      expectAllClose(weights, whole.weights, { rtol: 1e-3, atol: 2e-4 });
    }
  });

  it("counts every token where none is a teacher's with other tokens, or the objective compares no distributions", () => {
    expect(knownTokens(batchOf(), objective)).toBeUndefined();
    expect(
      knownTokens(
        batchOf(() => true),
        { ...objective, divergence: "opd", signal: "sampled" },
      ),
    ).toBeUndefined();
  });
});
