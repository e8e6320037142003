import { found } from "../../../../../services/shared/base/found.js";
import type { TokenSelection } from "../../../../../services/shared/ml/losses/objective.js";
import { Scorer } from "../../../../../services/shared/ml/scoring/scorer.js";
import type { TrainSequence } from "../../../../../services/shared/ml/training/batch.js";
import { countedTokens } from "../../../../../services/shared/ml/training/select-tokens.js";
import { Trainer, type TrainerOptions } from "../../../../../services/shared/ml/training/trainer.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { goldenTrain, inParts, trainSetup } from "../../../../support/models/golden-train.js";

const sequence = (...completionIds: number[]): TrainSequence => ({
  promptIds: Int32Array.of(1),
  completionIds: Int32Array.from(completionIds),
});
const counted = (by: TokenSelection["by"], share: number, values?: number[]) => [
  ...found(countedTokens([sequence(5, 6, 7, 8, 9)], { by, share }, values && [Float32Array.from(values)])[0], "the first"),
];

describe("countedTokens()", () => {
  it("takes a share of each completion, rounded up: at least one token", () => {
    expect(counted("prefix", 0.5)).toEqual([1, 1, 1, 0, 0]);
    expect(counted("suffix", 0.4)).toEqual([0, 0, 0, 1, 1]);
    expect(counted("prefix", 1e-9)).toEqual([1, 0, 0, 0, 0]);
    expect(counted("suffix", 1)).toEqual([1, 1, 1, 1, 1]);
  });

  it("takes those with the largest values, of equal ones the earlier", () => {
    expect(counted("entropy", 0.4, [0.1, 3, 2, 3, 0])).toEqual([0, 1, 0, 1, 0]);
    expect(counted("divergence", 0.2, [1, 2, 2, 0, 2])).toEqual([0, 1, 0, 0, 0]);
  });

  it("draws by the sequence's own tokens: the same again, and each place as often", () => {
    expect(counted("random", 0.4)).toEqual(counted("random", 0.4));
    const sums = [0, 0, 0, 0, 0];
    for (let i = 0; i < 2000; i++)
      for (const [n, one] of found(countedTokens([sequence(i, 6, 7, 8, 9)], { by: "random", share: 0.4 })[0], "the first").entries())
        sums[n]! += one;
    for (const sum of sums) expect(Math.abs(sum / 2000 - 0.4)).toBeLessThan(0.05);
  });
});

describe("a step on some of the tokens", () => {
  const setup = trainSetup(goldenTrain.untied);
  const trainerWith = (tokens?: TokenSelection, options: Partial<TrainerOptions> = {}) =>
    new Trainer(setup.config, setup.weights, {
      ...setup.options,
      ...options,
      objective: { ...setup.options.objective, ...options.objective, tokens },
    });
  const stepOf = async (batch: readonly TrainSequence[], tokens?: TokenSelection, options: Partial<TrainerOptions> = {}) => {
    const trainer = trainerWith(tokens, options);
    const { loss, gradientNorm, divergence } = await trainer.step(batch, 0);
    await trainer.release();
    return { loss, gradientNorm, divergence };
  };

  /** The distance of each token: what a step on it alone says. */
  async function perToken(by: "entropy" | "divergence"): Promise<number[][]> {
    const scorer = new Scorer(setup.config, setup.weights, { device: "cpu", threads: 1, batchTokens: 4096 });
    const scores = await scorer.score(setup.batch, { kind: "full", k: 0, temperature: 1 });
    await scorer.release();
    const vocab = setup.config.vocabSize;
    return scores.map(({ full }, i) => {
      const own = found(full, "the distributions");
      const teacher = found(setup.batch[i]?.score?.full, "the teacher's");
      return Array.from({ length: own.length / vocab }, (_, n) => {
        let sum = 0;
        for (let v = n * vocab; v < (n + 1) * vocab; v++)
          sum += by === "entropy" ? -Math.exp(own[v]!) * own[v]! : Math.exp(teacher[v]!) * (teacher[v]! - own[v]!);
        return sum;
      });
    });
  }

  it("on a prefix is the step on sequences that end there", async () => {
    const share = 0.5;
    const cut = setup.batch.map(({ completionIds, score, ...rest }): TrainSequence => {
      const count = Math.ceil(share * completionIds.length);
      const { full, logprobs, ...signal } = found(score, "the score");
      const width = found(full, "the distributions").length / completionIds.length;
      return {
        ...rest,
        completionIds: completionIds.slice(0, count),
        score: { ...signal, full: full?.slice(0, count * width), logprobs: logprobs?.slice(0, count) },
      };
    });
    for (const normalisation of ["sequence", "token"] as const) {
      const objective = { ...setup.options.objective, normalisation };
      const [some, short] = [
        await stepOf(setup.batch, { by: "prefix", share }, { objective }),
        await stepOf(cut, undefined, { objective }),
      ];
      expectAllClose([some.loss, some.gradientNorm], [short.loss, short.gradientNorm], { rtol: 1e-5 });
    }
  });

  it("on all of them is the step as it was", async () => {
    const whole = await stepOf(setup.batch);
    for (const by of ["random", "entropy"] as const) expect(await stepOf(setup.batch, { by, share: 1 })).toEqual(whole);
  });

  it.each(["entropy", "divergence"] as const)("takes those where the %s is largest, however the batch is split", async (by) => {
    const values = await perToken(by);
    const distances = await perToken("divergence");
    const share = 0.34;
    const means = values.map((own, i) => {
      const kept = own
        .map((value, n) => ({ value, n }))
        .sort((a, b) => b.value - a.value)
        .slice(0, Math.ceil(share * own.length));
      return kept.reduce((sum, { n }) => sum + distances[i]![n]!, 0) / kept.length;
    });
    const whole = await stepOf(setup.batch);
    for (const options of [{}, { microBatchTokens: 1 }, ...inParts]) {
      const { loss, divergence } = await stepOf(setup.batch, { by, share }, options);
      expectAllClose([loss], [means.reduce((a, b) => a + b) / means.length], { rtol: 1e-4 });
      // What is reported stays the whole's.
      expectAllClose([divergence], [whole.divergence], { rtol: 1e-5 });
    }
  });

  it("is refused where nothing could be chosen by it", () => {
    expect(() => trainerWith({ by: "prefix", share: 0 })).toThrow(/objective.tokens.share: is 0; it must lie in \(0, 1\]/);
    const objective = { ...setup.options.objective, divergence: "cross_entropy" as const };
    expect(() => trainerWith({ by: "divergence", share: 0.5 }, { objective })).toThrow(
      /objective.tokens.by: is divergence, and this objective asks no teacher/,
    );
  });
});
