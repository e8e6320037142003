import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import type { Objective } from "../../../../../services/shared/ml/losses/objective.js";
import { decoderInputs } from "../../../../../services/shared/ml/models/architectures/sequence-inputs.js";
import { headDigest } from "../../../../../services/shared/ml/models/model.js";
import { KeptFloats } from "../../../../../services/shared/ml/runtime/kept-floats.js";
import type { Score, Signal } from "../../../../../services/shared/ml/signals/score.js";
import { microBatch, splitBatch, type TrainSequence } from "../../../../../services/shared/ml/training/batch.js";
import { plainObjective } from "../../../../support/loss/loss.js";

const vocab = 5;
const head = float32(new Float32Array(vocab * 2).fill(0.1), [vocab, 2]);
const heads = new Map([[headDigest(head), head]]);
const floats = (...values: number[]) => Float32Array.from(values);
const inf = Number.POSITIVE_INFINITY;

/** A good score of two tokens for each signal. */
const good: Record<string, Omit<Score, "signal">> = {
  full: { logprobs: floats(-1, -1), full: new Float32Array(2 * vocab).fill(-Math.log(vocab)) },
  hidden: { hidden: floats(1, 2, 3, 4), headDigest: headDigest(head) },
  random_k: {
    logprobs: floats(-1, -1),
    ids: Int32Array.of(0, 4, 1, 2),
    counts: Uint16Array.of(3, 1, 2, 2),
    entropy: floats(1, 1),
  },
  student_top_k: {
    logprobs: floats(-1, -1),
    ids: Int32Array.of(0, 4, 1, 2),
    topLogprobs: floats(-1, -2, -1, -2),
    tail: floats(-0.7, -0.7),
  },
  sampled: { logprobs: floats(-1, -1) },
};
const ks: Record<string, number> = { random_k: 4, student_top_k: 2 };

const objective: Objective = { ...plainObjective, divergence: "forward_kl", signal: "full" };
const signal: Signal = { kind: "full", k: 0, temperature: 1 };

function lay(kind: Objective["signal"], change: Partial<Score> = {}, signal: Partial<Signal> = {}) {
  const divergence = kind === "sampled" ? "opd" : "forward_kl";
  const objective: Objective = { ...plainObjective, divergence, signal: kind, k: ks[kind] ?? 0 };
  const asked: Signal = { kind, k: objective.k, temperature: 1, hiddenDtype: "float32", ...signal };
  const sequence: TrainSequence = {
    promptIds: Int32Array.of(1),
    completionIds: Int32Array.of(2, 3),
    score: { ...good[kind], ...change, signal: asked },
  };
  return microBatch([sequence], [0], { inputs: decoderInputs, padId: 0, vocab, objective, blockRows: 0, heads });
}

describe("microBatch()", () => {
  it.each(Object.keys(good))("takes a good score of signal %s", (kind) => {
    expect(lay(kind as Objective["signal"]).rows).toBe(2);
  });

  it.each<[Objective["signal"], string, Partial<Score>, Partial<Signal>, RegExp]>([
    ["full", "of another signal", {}, { kind: "top_k" }, /sequence 0: the score's signal is top_k, the objective needs full/],
    ["full", "at another temperature", {}, { temperature: 2 }, /the score's temperature is 2, the objective needs 1/],
    ["student_top_k", "of another k", {}, { k: 3 }, /the score's k is 3, the objective needs 2/],
    ["hidden", "of another type", {}, { hiddenDtype: "float16" }, /the score's hiddenDtype is float16, the objective needs float32/],
    ["full", "that is short", { full: new Float32Array(vocab) }, {}, /score\.full has 5 elements, expected 10/],
    ["full", "with NaN", { full: new Float32Array(10).fill(Number.NaN) }, {}, /score\.full\[0\] is NaN, which isn't a log-probability/],
    [
      "full",
      "with more than 1",
      { full: floats(0.002, ...new Array(9).fill(-inf)) },
      {},
      /score\.full\[0\] is 0\.002\d*, which isn't a log-/,
    ],
    ["sampled", "with infinity", { logprobs: floats(-1, inf) }, {}, /score\.logprobs\[1\] is Infinity/],
    ["sampled", "without log-probabilities", { logprobs: undefined }, {}, /score\.logprobs has 0 elements, expected 2/],
    ["student_top_k", "with a class twice", { ids: Int32Array.of(0, 0, 1, 2) }, {}, /score\.ids\[1\] is 0, which stands twice at token 0/],
    [
      "student_top_k",
      "with a class beyond the vocabulary",
      { ids: Int32Array.of(0, 5, 1, 2) },
      {},
      /score\.ids\[1\] is 5, outside the vocabulary of 5/,
    ],
    ["student_top_k", "with a tail above 1", { tail: floats(-1, 0.5) }, {}, /score\.tail\[1\] is 0\.5/],
    ["full", "of logits", { full: new Float32Array(10).fill(-1) }, {}, /probabilities of score\.full at token 0 sum to 1\.83940, not to 1/],
    [
      "student_top_k",
      "whose tail is missing its mass",
      { tail: floats(-0.7, -2) },
      {},
      /probabilities of score\.topLogprobs at token 1 sum to 0\.63\d+, not to 1; .*tailLogprobs/,
    ],
    [
      "random_k",
      "with too few draws",
      { counts: Uint16Array.of(3, 1, 2, 1) },
      {},
      /the counts of token 1 add up to 3; the objective asks for k=4 draws/,
    ],
    ["random_k", "with a class beyond the vocabulary", { ids: Int32Array.of(0, 4, 1, -1) }, {}, /score\.ids\[3\] is -1, outside/],
    ["random_k", "with a negative entropy", { entropy: floats(1, -1) }, {}, /score\.entropy\[1\] is -1, which is no entropy/],
    ["random_k", "without classes", { ids: new Int32Array() }, {}, /score\.ids has 0 elements for 2 tokens/],
    [
      "hidden",
      "of an unknown head",
      { headDigest: "beef" },
      {},
      /belong to the head beef, and the learner has [0-9a-f]{64}; teacher and learner must read the same/,
    ],
    ["hidden", "of another width", { hidden: floats(1, 2, 3) }, {}, /score\.hidden has 3 elements, expected 4/],
    ["hidden", "with NaN", { hidden: floats(1, 2, 3, Number.NaN) }, {}, /score\.hidden\[3\] is not finite/],
  ])("refuses a score of %s %s", (kind, _, change, signal, message) => {
    expect(() => lay(kind, change, signal)).toThrow(message);
  });

  it("fills rows up with zeros in memory that had other scores before", () => {
    const room = new KeptFloats();
    room.take(4 * vocab).fill(7);
    const sequence = { promptIds: Int32Array.of(1), completionIds: Int32Array.of(2, 3), score: { ...good.full, signal } };
    const layout = { inputs: decoderInputs, padId: 0, vocab, objective, blockRows: 3, room };
    const { data, dims } = microBatch([sequence], [0], layout).feeds["signal.full"]!;
    expect(dims).toEqual([3, vocab]);
    expect([...(data as Float32Array)]).toEqual([...good.full!.full!, 0, 0, 0, 0, 0]);
  });
});

describe("splitBatch()", () => {
  it("never mixes hidden states that belong to different heads", () => {
    const sequence = (headDigest: string, length: number): TrainSequence => ({
      promptIds: Int32Array.of(1),
      completionIds: new Int32Array(length).fill(1),
      score: { signal: { kind: "hidden", k: 0, temperature: 1 }, headDigest },
    });
    const batch = [sequence("a", 2), sequence("b", 3), sequence("a", 4), sequence("b", 1)];
    expect(splitBatch(batch, { budget: 1000, overhead: 100 }, decoderInputs)).toEqual([
      [0, 2],
      [1, 3],
    ]);
    expect(splitBatch(batch, { budget: 4, overhead: 100 }, decoderInputs).flat().sort()).toEqual([0, 1, 2, 3]);
  });
});
