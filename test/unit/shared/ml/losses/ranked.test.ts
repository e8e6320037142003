import fc from "fast-check";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { chosenClasses, drawnLogits, largestClasses, logSoftmaxRows } from "../../../../support/loss/distributions.js";
import { compileLoss, type LossCase, type LossProgram } from "../../../../support/loss/loss.js";

const [rows, vocab, k] = [3, 9, 4];
const weights = [0.5, 0.3, 0.2];
const caseOf = (student: readonly number[], teacher: readonly number[], size = k): LossCase => {
  const logp = logSoftmaxRows(teacher, vocab);
  return {
    ...{ rows, vocab, weights, logits: student, labels: [0, 1, 2] },
    signal: chosenClasses(logp, vocab, largestClasses(logp, vocab, size)),
  };
};
/** The same rows with their classes in another order. */
const shuffled = (logits: readonly number[], order: readonly number[]) =>
  Array.from({ length: rows }, (_, row) => order.map((v) => logits[row * vocab + v]!)).flat();
const sortedRows = (logits: readonly number[]) => {
  const logp = logSoftmaxRows(logits, vocab);
  return Array.from({ length: rows }, (_, row) =>
    logp
      .slice(row * vocab, (row + 1) * vocab)
      .map(Math.exp)
      .sort((a, b) => b - a),
  );
};
const logits = (bound: number) =>
  fc.array(fc.double({ min: -bound, max: bound, noNaN: true }), { minLength: rows * vocab, maxLength: rows * vocab });
const order = fc.shuffledSubarray([...new Array(vocab).keys()], { minLength: vocab, maxLength: vocab });
const runs = { numRuns: 25, seed: 1 };

describe("uld()", () => {
  let program: LossProgram;
  let whole: LossProgram;
  beforeAll(async () => {
    program = await compileLoss({ divergence: "uld", signal: "top_k", k }, vocab);
    whole = await compileLoss({ divergence: "uld", signal: "top_k", k: vocab }, vocab);
  });
  afterAll(async () => {
    await program.release();
    await whole.release();
  });

  it("is the L1 distance of sorted probabilities, of which k ranks and the rest are never more", () =>
    fc.assert(
      fc.asyncProperty(logits(8), logits(8), async (student, teacher) => {
        const [q, p] = [sortedRows(student), sortedRows(teacher)];
        const expected = q.map((row, r) => row.reduce((sum, x, i) => sum + Math.abs(x - p[r]![i]!), 0));
        const all = await whole.run(caseOf(student, teacher, vocab));
        expectAllClose(all.rows, expected, { rtol: 1e-5, atol: 1e-5 });
        const part = await program.run(caseOf(student, teacher));
        part.rows.forEach((value, row) => {
          expect(value).toBeLessThan(expected[row]! + 1e-5);
        });
      }),
      runs,
    ));

  it("is 0 where both have the same probabilities, whatever their classes are", () =>
    fc.assert(
      fc.asyncProperty(logits(8), order, async (student, others) => {
        const { rows: values } = await program.run(caseOf(student, shuffled(student, others)));
        expectAllClose(values, [0, 0, 0], { atol: 2e-6 });
      }),
      runs,
    ));

  it("takes its gradient along when the student's classes change places", () =>
    fc.assert(
      fc.asyncProperty(order, async (others) => {
        const [student, teacher] = [drawnLogits(1n, rows, vocab), drawnLogits(2n, rows, vocab)];
        const plain = await program.run(caseOf(student, teacher));
        const moved = await program.run(caseOf(shuffled(student, others), teacher));
        expectAllClose(moved.gradient, shuffled([...plain.gradient], others), { rtol: 1e-5, atol: 1e-6 });
      }),
      runs,
    ));

  it("has the slope of its value in every logit", async () => {
    const [student, teacher] = [drawnLogits(3n, rows, vocab), drawnLogits(4n, rows, vocab)];
    const { gradient } = await program.run(caseOf(student, teacher));
    const step = 1e-3;
    for (let i = 0; i < student.length; i++) {
      const at = async (shift: number) => (await program.run(caseOf(student.with(i, student[i]! + shift), teacher))).loss;
      const slope = ((await at(step)) - (await at(-step))) / (2 * step);
      expectAllClose([gradient[i]!], [slope], { rtol: 1e-2, atol: 2e-4 }, `gradient of logit ${i}`);
    }
  });

  it("is finite, with a finite gradient, however extreme the logits", () =>
    fc.assert(
      fc.asyncProperty(logits(1e4), logits(1e4), async (student, teacher) => {
        for (const one of [await program.run(caseOf(student, teacher)), await whole.run(caseOf(student, teacher, vocab))])
          for (const value of [...one.rows, ...one.gradient]) expect(Number.isFinite(value)).toBe(true);
      }),
      runs,
    ));
});
