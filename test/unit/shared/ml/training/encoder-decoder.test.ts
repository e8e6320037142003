import { tokenDivergences } from "../../../../../services/shared/ml/evaluation/divergence.js";
import { Sampler } from "../../../../../services/shared/ml/sampling/sampler.js";
import { Scorer } from "../../../../../services/shared/ml/scoring/scorer.js";
import type { Signal } from "../../../../../services/shared/ml/signals/score.js";
import { Trainer } from "../../../../../services/shared/ml/training/trainer.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { plainObjective } from "../../../../support/loss/loss.js";
import { smallT5, t5Configs } from "../../../../support/models/small-t5.js";

const device = { device: "cpu", threads: 1 } as const;
const optimizer = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };

describe.each(Object.entries(t5Configs))("an encoder-decoder is distilled on its own samples: %s", (_, config) => {
  const [student, teacher] = [smallT5(config), smallT5(t5Configs["flan-t5"], 11n)];

  /** Samples of the student with the teacher's scores. */
  async function sampled(signal: Signal) {
    const sampler = new Sampler(student.config, student.params, { ...device, chunkTokens: 5, maxRows: 8 });
    const requests = [4, 1, 15, 15].map((length, i) => ({
      promptIds: Int32Array.from({ length }, (_, j) => 3 + ((i * 37 + j * 11) % 140)),
      seed: BigInt(i),
    }));
    const completions = await sampler.sample(requests, { temperature: 1, topK: 0, topP: 1, maxNewTokens: 12, stopIds: [5, 6, 7, 8] });
    await sampler.release();
    const inputs = completions.map(({ ids }, i) => ({ promptIds: requests[i]!.promptIds, completionIds: ids }));
    const scorer = new Scorer(teacher.config, teacher.params, { ...device, batchTokens: 60 });
    const scores = await scorer.score(inputs, signal);
    await scorer.release();
    return inputs.map((input, i) => ({ ...input, score: scores[i]!, samplerLogprobs: completions[i]!.logprobs }));
  }

  it.each(["full", "hidden"] as const)("with the signal %s, in one micro-batch and in several, alike", async (kind) => {
    const signal = kind === "hidden" ? { kind, k: 0, temperature: 1, hiddenDtype: "float32" as const } : { kind, k: 0, temperature: 1 };
    const batch = await sampled(signal);
    const objective = { ...plainObjective, signal: kind, hiddenDtype: "float32" as const };
    const stats = [];
    for (const microBatchTokens of [1000, 40, 1]) {
      const trainer = new Trainer(student.config, student.params, { ...device, objective, optimizer, microBatchTokens });
      const headDigest = trainer.addHead(teacher.params.get("lm_head.weight")!);
      const { mismatchKl, loss, gradientNorm, sequenceDivergence } = await trainer.step(
        batch.map((sequence) => ({ ...sequence, score: { ...sequence.score, ...(kind === "hidden" ? { headDigest } : {}) } })),
        1e-3,
      );
      await trainer.release();
      // Sampler and trainer find the same log-probabilities.
      expect(Math.abs(mismatchKl)).toBeLessThan(1e-9);
      stats.push([loss, gradientNorm, ...sequenceDivergence]);
    }
    for (const other of stats.slice(1)) expectAllClose(other, stats[0]!, { rtol: 1e-4 });
    if (kind === "hidden") return;
    // What an evaluation measures is what was minimised.
    const scorer = new Scorer(student.config, student.params, { ...device, batchTokens: 60 });
    const own = await scorer.score(batch, { kind: "full", k: 0, temperature: 1 });
    await scorer.release();
    const means = own.map((score, i) => {
      const { forwardKl } = tokenDivergences(score, batch[i]!.score);
      return forwardKl.reduce((a, b) => a + b, 0) / forwardKl.length;
    });
    expectAllClose(stats[0]!.slice(2), means, { rtol: 1e-4 });
  });

  it("the signal hidden says what full says", async () => {
    const [full, hidden] = [
      await sampled({ kind: "full", k: 0, temperature: 1 }),
      await sampled({ kind: "hidden", k: 0, temperature: 1, hiddenDtype: "float32" }),
    ];
    const { dims, data } = teacher.params.get("lm_head.weight")!;
    const [vocab, width] = dims as [number, number];
    const states = hidden[2]!.score.hidden as Float32Array;
    const row = Array.from({ length: vocab }, (_, v) => {
      let sum = 0;
      for (let d = 0; d < width; d++) sum += states[width + d]! * data[v * width + d]!;
      return sum;
    });
    const top = Math.max(...row);
    const total = top + Math.log(row.reduce((sum, x) => sum + Math.exp(x - top), 0));
    expectAllClose(
      row.map((x) => x - total),
      full[2]!.score.full!.slice(vocab, 2 * vocab),
      { rtol: 1e-4, atol: 1e-4 },
    );
  });
});
