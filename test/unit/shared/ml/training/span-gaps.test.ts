import type { Objective } from "../../../../../services/shared/ml/losses/objective.js";
import { decoderInputs } from "../../../../../services/shared/ml/models/architectures/sequence-inputs.js";
import { microBatch, type TrainSequence } from "../../../../../services/shared/ml/training/batch.js";
import { type SpanLayout, spanGaps } from "../../../../../services/shared/ml/training/span-gaps.js";
import type { TrainerOptions } from "../../../../../services/shared/ml/training/trainer.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { firstStep, goldenTrain, inParts, trainSetup } from "../../../../support/models/golden-train.js";

const setup = trainSetup(goldenTrain.untied);
const objective: Objective = { ...setup.options.objective, divergence: "opd", signal: "sampled", alpha: 1 };
const signal = { kind: "sampled", k: 0, temperature: 1 } as const;

/** Runs of given lengths, over and over. */
function runs(count: number, lengths: readonly number[]): Int32Array {
  const firsts = new Int32Array(count);
  for (let [start, i] = [0, 0]; start < count; i++) {
    const end = Math.min(count, start + lengths[i % lengths.length]!);
    firsts.fill(start, start, end);
    start = end;
  }
  return firsts;
}

const layoutOf = (count: number, spans: readonly number[], words = spans): SpanLayout => ({
  starts: runs(count, spans),
  words: runs(count, words),
  alike: spans.every((length) => length === 1),
});

/** The batch with a teacher's log-probability for each span. */
const batchOf = (spans?: readonly number[], words?: readonly number[]): TrainSequence[] =>
  setup.batch.map(({ promptIds, completionIds, samplerLogprobs }) => {
    const layout = spans && layoutOf(completionIds.length, spans, words);
    const logprobs = Float32Array.from(completionIds, (_, n) => -0.3 - 0.7 * (layout?.starts[n] ?? n));
    const sampled = samplerLogprobs ? { samplerLogprobs } : {};
    return { promptIds, completionIds, ...sampled, score: { signal, logprobs }, ...(layout ? { spans: layout } : {}) };
  });

/** A step's figures, and the weights after it. */
const stepOn = (batch: readonly TrainSequence[], options: Partial<TrainerOptions> = {}, watched = [1]) =>
  firstStep({ ...setup, options: { ...setup.options, objective, ...options } }, batch, watched);

describe("spanGaps()", () => {
  const gapsOf = (layout: SpanLayout, logprobs: number[], teacher: number[]) => [
    ...spanGaps(layout, Float32Array.from(logprobs), Float32Array.from(teacher)).gaps,
  ];

  it("have a token answer for its word, for what follows, and for the word that it ends", () => {
    // Two words of two spans each, and the end.
    const layout = { starts: Int32Array.of(0, 1, 2, 3, 4), words: Int32Array.of(0, 0, 2, 2, 4), alike: false };
    const gaps = gapsOf(layout, [-1, -1, -1, -1, -1], [-2, -4, -8, -16, -32]);
    const [a, b, c, d, e] = [1, 3, 7, 15, 31] as const;
    expect(gaps).toEqual([a + b + c, a + b + c, c + d + e + (a + b), c + d + e, e + (c + d)]);
  });

  it("have each token answer for itself where both have the same tokens", () => {
    expect(gapsOf({ ...layoutOf(3, [1]), words: Int32Array.of(0, 0, 2) }, [-1, -2, -3], [-2, -2, -2])).toEqual([1, 0, -1]);
  });
});

describe("a step over spans", () => {
  it("is that over tokens where every span is a token of both", async () => {
    const [spans, tokens] = [await stepOn(batchOf([1])), await stepOn(batchOf())];
    expectAllClose(spans.weights, tokens.weights, { rtol: 1e-5, atol: 1e-6 });
    for (const name of ["loss", "divergence", "gradientNorm"] as const)
      expectAllClose([spans.stats[name]], [tokens.stats[name]], { rtol: 1e-5, atol: 1e-7 });
  });

  it.each([
    [[2, 1], [6]],
    [[3], [6]],
    [[100], [100]],
  ])("of lengths %j in words of %j is the same in blocks of rows, and however the batch is split", async (lengths, words) => {
    const batch = [...batchOf(lengths, words).slice(0, -1), batchOf().at(-1)!];
    const whole = await stepOn(batch, { blockRows: 0 });
    for (const options of [...inParts, { microBatchTokens: 1 }, { blockRows: 3, microBatchTokens: 18 }]) {
      const { stats, weights } = await stepOn(batch, options);
      for (const name of ["loss", "divergence", "gradientNorm"] as const)
        expectAllClose([stats[name]], [whole.stats[name]], { rtol: 1e-5, atol: 1e-6 });
      expectAllClose(stats.sequenceDivergence, whole.stats.sequenceDivergence, { rtol: 1e-5, atol: 1e-6 });
      expectAllClose(weights, whole.weights, { rtol: 1e-3, atol: 2e-4 });
    }
  });

  it("reports of each token its share of the span's log-ratio, log q(span) − log p(span)", async () => {
    const batch = batchOf([2]);
    const { stats } = await stepOn(batch);
    const { divergence, logprobs } = stats.watched[0]!;
    const { starts } = batch[1]!.spans!;
    const sumOf = (start: number) => logprobs.reduce((sum, logprob, n) => (starts[n] === start ? sum + logprob : sum), 0);
    const teacher = batch[1]!.score!.logprobs!;
    const expected = [...starts].map((start) => (sumOf(start) - teacher[start]!) / starts.filter((one) => one === start).length);
    expectAllClose(divergence, expected, { rtol: 1e-4, atol: 1e-5 });
  });

  it("on the tokens where the divergence is largest takes those of the largest share of a span's log-ratio", async () => {
    const { samplerLogprobs: _, ...only } = batchOf([2, 1], [3])[1]!;
    const { divergence, logprobs } = (await stepOn([only], {}, [0])).stats.watched[0]!;
    const { gaps } = spanGaps(only.spans!, logprobs, only.score!.logprobs!);
    const share = 0.4;
    const kept = [...divergence.keys()].sort((a, b) => divergence[b]! - divergence[a]!).slice(0, Math.ceil(share * divergence.length));
    const expected = kept.reduce((sum, n) => sum + gaps[n]! * logprobs[n]!, 0) / kept.length;
    const { stats } = await stepOn([only], { objective: { ...objective, tokens: { by: "divergence", share } } }, [0]);
    expectAllClose([stats.loss], [expected], { rtol: 1e-4 });
  });

  const count = setup.batch[0]!.completionIds.length;
  it.each<[string, Partial<TrainSequence>, Partial<Objective>, RegExp]>([
    ["too few", { spans: layoutOf(1, [1]) }, {}, /sequence 0: spans.starts has 1 entries for/],
    [
      "a gap",
      { spans: { ...layoutOf(count, [2]), words: layoutOf(count, [2]).starts.map((start, n) => (n === 1 ? 9 : start)) } },
      {},
      /words\[1\] is 9/,
    ],
    ["a word within a span", { spans: layoutOf(count, [2], [1]) }, {}, /spans.words\[1\] begins a word within a span/],
    [
      "another signal",
      {},
      { divergence: "reverse_kl", signal: "full" },
      /its teacher has other tokens, of which reverse_kl with full isn't/,
    ],
    [
      "a choice of tokens by an objective that compares some",
      {},
      { divergence: "reverse_kl", signal: "top_k", tokens: { by: "prefix", share: 0.5 } },
      /objective.tokens chooses among all; leave it out/,
    ],
  ])("refuses %s", (_, fields, change, message) => {
    const own = { ...objective, ...change };
    const [first] = batchOf([2]);
    const score = { ...first!.score!, signal: { ...signal, kind: own.signal, k: own.k, hiddenDtype: own.hiddenDtype } };
    const layout = { inputs: decoderInputs, padId: 0, vocab: setup.config.vocabSize, objective: own, blockRows: 0 };
    expect(() => microBatch([{ ...first!, score, ...fields }], [0], layout)).toThrow(message);
  });
});
