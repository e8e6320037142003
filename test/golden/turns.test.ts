import { readFileSync } from "node:fs";
import { float32 } from "../../services/shared/ml/graph/tensor.js";
import type { Objective } from "../../services/shared/ml/losses/objective.js";
import { decoderInputs } from "../../services/shared/ml/models/architectures/sequence-inputs.js";
import { wholeModel } from "../../services/shared/ml/models/trainable.js";
import { Session } from "../../services/shared/ml/runtime/session.js";
import { Scorer } from "../../services/shared/ml/scoring/scorer.js";
import { microBatch, type TrainSequence } from "../../services/shared/ml/training/batch.js";
import { accumulateGraph } from "../../services/shared/ml/training/step-graph.js";
import { Trainer } from "../../services/shared/ml/training/trainer.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { goldenTrain, trainSetup } from "../support/models/golden-train.js";

interface GoldenTurns {
  readonly sequences: readonly {
    readonly prompt: number[];
    readonly completion: number[];
    readonly replies: readonly { readonly at: number; readonly ids: number[] }[];
  }[];
  readonly teacherLogprobs: number[][];
  readonly logprobs: number[][];
  readonly cases: readonly {
    readonly kind: "forward_kl" | "reward";
    readonly normalisation: Objective["normalisation"];
    readonly loss: number;
    readonly gradientNorm: number;
    readonly gradients: Readonly<Record<string, number[]>>;
  }[];
}

const golden = JSON.parse(readFileSync("test/golden/fixtures/turns.json", "utf8")) as GoldenTurns;
const { config, weights, options } = trainSetup(goldenTrain.tied);

/** The sequences of the fixture, each with its teacher's distribution and an advantage. */
const batch = golden.sequences.map(({ prompt, completion, replies }, i): TrainSequence => {
  const full = Float32Array.from(golden.teacherLogprobs[i]!);
  const logprobs = Float32Array.from(completion, (id, n) => full[n * config.vocabSize + id]!);
  return {
    promptIds: Int32Array.from(prompt),
    completionIds: Int32Array.from(completion),
    replies: replies.map(({ at, ids }) => ({ at, ids: Int32Array.from(ids) })),
    score: { signal: { kind: "full", k: 0, temperature: 1 }, logprobs, full },
    advantage: [0.5, -0.25, 1][i]!,
    samplerLogprobs: Float32Array.from(golden.logprobs[i]!),
  };
});

/** The gradients of a step on some members, added up by the graph that trainers accumulate with. */
async function gradients(objective: Objective, parts: readonly (readonly number[])[], blockRows: number) {
  const blocks = blockRows > 0;
  const session = await Session.create(accumulateGraph({ config, trainable: wholeModel(config), ...options, objective, blocks }), options);
  let sums = Object.fromEntries([...weights].map(([name, { data, dims }]) => [`g:${name}`, float32(new Float32Array(data.length), dims)]));
  let loss = 0;
  for (const members of parts) {
    const { feeds } = microBatch(batch, members, { inputs: decoderInputs, padId: 0, vocab: config.vocabSize, objective, blockRows });
    const outputs = await session.run({ ...feeds, ...Object.fromEntries(weights), ...sums });
    loss += (outputs.loss!.data as Float32Array)[0]!;
    sums = Object.fromEntries(
      [...weights].map(([name, { dims }]) => [
        `g:${name}`,
        float32(Float32Array.from(outputs[`next:g:${name}`]!.data as Float32Array), dims),
      ]),
    );
  }
  await session.release();
  return { loss, of: (name: string) => sums[`g:${name}`]!.data };
}

describe("completions of several turns against PyTorch", () => {
  it.each(golden.cases.flatMap((one) => [0, 4].map((blockRows) => ({ ...one, blockRows }))))(
    "have the loss and the gradients of the writer's own tokens alone: $kind, by $normalisation, blocks of $blockRows",
    async ({ kind, normalisation, loss, gradients: expected, blockRows }) => {
      const objective: Objective = { ...options.objective, normalisation, alpha: kind === "reward" ? 0 : 1 };
      for (const parts of [[[0, 1, 2]], [[0], [2, 1]]]) {
        const found = await gradients(objective, parts, blockRows);
        if (kind === "forward_kl") expect(found.loss).toBeCloseTo(loss, 5);
        for (const [name, values] of Object.entries(expected)) expectAllClose(found.of(name), values, { rtol: 1e-4, atol: 2e-6 }, name);
      }
    },
  );

  it("are what a trainer takes a step on", async () => {
    const [{ loss, gradientNorm }] = golden.cases as [GoldenTurns["cases"][number]];
    const trainer = new Trainer(config, weights, options);
    const stats = await trainer.step(batch, 0.01, [0]);
    await trainer.release();
    expectAllClose([stats.loss, stats.gradientNorm], [loss, gradientNorm], { rtol: 1e-4 });
    const own = golden.sequences.map(({ completion }) => completion.length);
    expect(stats.completionTokens).toBe(own[0]! + own[1]! + own[2]!);
    // Sampler and learner are the same weights: they agree at every own token.
    expect(Math.abs(stats.mismatchKl)).toBeLessThan(1e-9);
    expectAllClose(stats.watched[0]!.logprobs, golden.logprobs[0]!, { rtol: 1e-4, atol: 1e-5 });
  });

  it("are scored at the writer's own tokens", async () => {
    const scorer = new Scorer(config, weights, { device: "cpu", threads: 1, batchTokens: 64 });
    const scores = await scorer.score(batch, { kind: "sampled", k: 0, temperature: 1 });
    await scorer.release();
    for (const [i, { logprobs }] of scores.entries()) expectAllClose(logprobs!, golden.logprobs[i]!, { rtol: 1e-4, atol: 1e-5 }, `${i}`);
  });

  it.each([
    [
      "before the first turn",
      [{ at: 0, ids: Int32Array.of(1) }],
      /replies\[0\]\.at is 0; it must lie above 0 and below the completion's 8/,
    ],
    ["behind the last one", [{ at: 8, ids: Int32Array.of(1) }], /replies\[0\]\.at is 8/],
    ["out of order", [2, 2].map((at) => ({ at, ids: Int32Array.of(1) })), /replies\[1\]\.at is 2; it must lie above 2/],
    ["without tokens", [{ at: 2, ids: new Int32Array() }], /replies\[0\] has no tokens/],
    ["outside the vocabulary", [{ at: 2, ids: Int32Array.of(13) }], /token id 13 is outside/],
  ])("are refused with replies %s", async (_, replies, message) => {
    const damaged = { ...batch[0]!, replies };
    const trainer = new Trainer(config, weights, options);
    await expect(trainer.step([damaged], 0.01)).rejects.toThrow(message);
    await trainer.release();
    const scorer = new Scorer(config, weights, { device: "cpu", threads: 1, batchTokens: 64 });
    await expect(scorer.score([damaged], { kind: "sampled", k: 0, temperature: 1 })).rejects.toThrow(message);
    await scorer.release();
  });
});
