import { decoderInputs } from "../../../../../services/shared/ml/models/architectures/sequence-inputs.js";
import { microBatch, rowWeights, type TrainSequence } from "../../../../../services/shared/ml/training/batch.js";
import { plainObjective } from "../../../../support/loss/loss.js";

const math = { name: "math", weight: 3 };
const chat = { name: "chat", weight: 1 };
const sequence = (length: number, teacher?: TrainSequence["teacher"]): TrainSequence => ({
  promptIds: Int32Array.of(1),
  completionIds: new Int32Array(length),
  ...(teacher && { teacher }),
});
/** Two sequences of 4 and 6 tokens of one teacher, one of 2 tokens of the other. */
const batch = [sequence(4, math), sequence(2, chat), sequence(6, math)];
const plain = [sequence(4), sequence(2), sequence(6)];

/** What each sequence of a batch has of a step's loss. */
const masses = (weights: readonly number[]): number[] => weights.map((weight, i) => weight * batch[i]!.completionIds.length);

describe("rowWeights()", () => {
  it("counts sequences, or tokens, alike where there is one teacher", () => {
    expect(rowWeights(plain, { normalisation: "sequence", balance: "none" })).toEqual([1 / 12, 1 / 6, 1 / 18]);
    expect(rowWeights(plain, { normalisation: "token", balance: "none" })).toEqual([1 / 12, 1 / 12, 1 / 12]);
    // To the bit: a run with one teacher is what it was.
    for (const normalisation of ["sequence", "token"] as const)
      expect(rowWeights(plain, { normalisation, balance: "teachers" })).toEqual(rowWeights(plain, { normalisation, balance: "none" }));
  });

  it("counts each one its teacher's weight times", () => {
    // 3 + 1 + 3 sequences; 3·4 + 2 + 3·6 tokens.
    expect(masses(rowWeights(batch, { normalisation: "sequence", balance: "none" }))).toEqual(
      [3, 1, 3].map((x) => expect.closeTo(x / 7, 12)),
    );
    expect(masses(rowWeights(batch, { normalisation: "token", balance: "none" }))).toEqual(
      [12, 2, 18].map((x) => expect.closeTo(x / 32, 12)),
    );
  });

  it("gives each teacher its share, however much it has scored, in equal parts to its sequences or tokens", () => {
    const bySequence = masses(rowWeights(batch, { normalisation: "sequence", balance: "teachers" }));
    expect(bySequence).toEqual([0.375, 0.25, 0.375].map((x) => expect.closeTo(x, 12)));
    const byToken = masses(rowWeights(batch, { normalisation: "token", balance: "teachers" }));
    expect(byToken).toEqual([0.3, 0.25, 0.45].map((x) => expect.closeTo(x, 12)));
  });

  it("shares among the teachers that a step has", () => {
    const alone = [sequence(4, math), sequence(6, math)];
    expect(rowWeights(alone, { normalisation: "sequence", balance: "teachers" })).toEqual([1 / 8, 1 / 12]);
  });

  it("leaves out a sequence none of whose tokens count, and a teacher without others", () => {
    const counted = [Uint8Array.of(1, 1, 0, 0), Uint8Array.of(0, 0), Uint8Array.of(0, 1, 0, 0, 0, 0)];
    expect(rowWeights(plain, { normalisation: "sequence", balance: "none" }, counted)).toEqual([1 / 4, 0, 1 / 2]);
    expect(rowWeights(plain, { normalisation: "token", balance: "none" }, counted)).toEqual([1 / 3, 0, 1 / 3]);
    expect(rowWeights(batch, { normalisation: "sequence", balance: "teachers" }, counted)).toEqual([1 / 4, 0, 1 / 2]);
    const none = counted.map((one) => one.map(() => 0));
    for (const balance of ["none", "teachers"] as const)
      expect(rowWeights(batch, { normalisation: "sequence", balance }, none)).toEqual([0, 0, 0]);
  });

  it("takes the tokens that count for the lengths", () => {
    const counted = [Uint8Array.of(1, 0, 0, 0), Uint8Array.of(1, 1), Uint8Array.of(1, 1, 1, 0, 0, 0)];
    const weights = rowWeights(batch, { normalisation: "token", balance: "teachers" }, counted);
    const sums = weights.map((weight, i) => weight * counted[i]!.reduce((a, b) => a + b, 0));
    expect(sums).toEqual([0.75 / 4, 0.25, (0.75 * 3) / 4].map((x) => expect.closeTo(x, 12)));
  });

  it("is what a micro-batch's rows are weighed with", () => {
    const objective = { ...plainObjective, divergence: "cross_entropy" as const, balance: "teachers" as const };
    const { feeds } = microBatch(batch, [2, 1], { inputs: decoderInputs, padId: 0, vocab: 9, objective, blockRows: 0 });
    expect(Array.from(feeds.weights!.data as Float32Array)).toEqual([...new Array(6).fill(0.0625), ...new Array(2).fill(0.125)]);
  });
});
