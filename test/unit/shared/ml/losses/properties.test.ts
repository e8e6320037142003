import fc from "fast-check";
import { type DivergenceName, type DivergenceOptions, divergences } from "../../../../../services/shared/ml/losses/divergences.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { chosenClasses, logSoftmaxRows } from "../../../../support/loss/distributions.js";
import { compileLoss, type LossCase, type LossProgram } from "../../../../support/loss/loss.js";

const [rows, vocab, k] = [4, 9, 3];
const settings: readonly [DivergenceName, Partial<DivergenceOptions>][] = [
  ...(Object.keys(divergences) as DivergenceName[]).map((name) => [name, {}] as [DivergenceName, object]),
  ["jsd", { beta: 0.1 }],
  ["jsd", { beta: 0.9, normalizeJsd: true }],
  ["skew_kl", { skew: 0.7 }],
  ["mix", { weight: 0.2 }],
  ["adaptive_kl", { headMass: 0.9 }],
  ["entropy_aware", { entropyThreshold: 1.5, forwardWeight: 0.4 }],
];

/** Two models' logits and, per row, k classes in some order. */
interface Draw {
  readonly student: number[];
  readonly teacher: number[];
  readonly ids: number[][];
}

const logits = (bound: number) =>
  fc.array(fc.double({ min: -bound, max: bound, noNaN: true }), { minLength: rows * vocab, maxLength: rows * vocab });
const classes = fc.array(fc.shuffledSubarray([...new Array(vocab).keys()], { minLength: k, maxLength: k }), {
  minLength: rows,
  maxLength: rows,
});
const draws = (bound: number): fc.Arbitrary<Draw> => fc.record({ student: logits(bound), teacher: logits(bound), ids: classes });
const runs = { numRuns: 25, seed: 1 };

const weights = [0.4, 0.3, 0.2, 0.1];
const caseOf = ({ student, teacher, ids }: Draw, signal: "full" | "top_k", given = weights): LossCase => {
  const logp = logSoftmaxRows(teacher, vocab);
  const what = signal === "full" ? { full: logp } : chosenClasses(logp, vocab, ids);
  return { rows, vocab, logits: student, labels: [0, 1, 2, 3], weights: given, signal: what };
};
/** Rows [from, to) of a case. */
function cut(input: LossCase, from: number, to: number): LossCase {
  const part = (list: readonly number[] | undefined) => list?.slice((from * list.length) / rows, (to * list.length) / rows);
  const { full, ids, top, tail } = input.signal;
  return {
    ...input,
    rows: to - from,
    logits: part(input.logits)!,
    labels: part(input.labels)!,
    weights: part(input.weights)!,
    signal: { full: part(full), ids: part(ids), top: part(top), tail: part(tail) },
  };
}

describe.each(["full", "top_k"] as const)("for every pair of distributions, over the signal %s,", (signal) => {
  describe.each(settings)("%s %o", (divergence, options) => {
    let program: LossProgram;
    beforeAll(async () => {
      program = await compileLoss({ divergence, signal, k, ...options }, vocab);
    });
    afterAll(() => program.release());

    it("is not negative, and 0 where both are the same", () =>
      fc.assert(
        fc.asyncProperty(draws(15), async (draw) => {
          for (const value of (await program.run(caseOf(draw, signal))).rows) expect(value).toBeGreaterThan(-2e-5);
          const same = await program.run(caseOf({ ...draw, teacher: draw.student }, signal));
          expectAllClose(same.rows, [0, 0, 0, 0], { atol: 2e-5 });
        }),
        runs,
      ));

    it("does not change when a constant is added to a model's logits", () =>
      fc.assert(
        fc.asyncProperty(draws(8), fc.double({ min: -40, max: 40, noNaN: true }), async (draw, shift) => {
          const plain = await program.run(caseOf(draw, signal));
          const moved = await program.run(caseOf({ ...draw, student: draw.student.map((x) => x + shift) }, signal));
          expectAllClose(moved.rows, plain.rows, { rtol: 1e-4, atol: 1e-4 });
          // Rounding may carry a class over adaptive_kl's line between head and tail, or over tvd's corner at p = q.
          if (!["adaptive_kl", "tvd"].includes(divergence)) expectAllClose(moved.gradient, plain.gradient, { rtol: 1e-4, atol: 1e-4 });
        }),
        runs,
      ));

    it("masks a row by weight 0 as if it were not there, and splits into parts that add up", () =>
      fc.assert(
        fc.asyncProperty(draws(8), fc.integer({ min: 1, max: rows - 1 }), async (draw, at) => {
          const whole = await program.run(caseOf(draw, signal));
          const [first, second] = [
            await program.run(cut(caseOf(draw, signal), 0, at)),
            await program.run(cut(caseOf(draw, signal), at, rows)),
          ];
          expectAllClose([first.loss + second.loss], [whole.loss], { rtol: 1e-5, atol: 1e-6 });
          expectAllClose([...first.gradient, ...second.gradient], whole.gradient, { rtol: 1e-5, atol: 1e-6 });
          const masked = await program.run(
            caseOf(
              draw,
              signal,
              weights.map((weight, row) => (row < at ? weight : 0)),
            ),
          );
          expectAllClose([masked.loss], [first.loss], { rtol: 1e-5, atol: 1e-6 });
          expectAllClose(masked.gradient, [...first.gradient, ...new Array<number>((rows - at) * vocab).fill(0)], {
            rtol: 1e-5,
            atol: 1e-6,
          });
        }),
        runs,
      ));

    it("is finite, with a finite gradient, however extreme the logits", () =>
      fc.assert(
        fc.asyncProperty(draws(1e4), async (draw) => {
          const result = await program.run(caseOf(draw, signal));
          for (const value of [...result.rows, ...result.gradient]) expect(Number.isFinite(value)).toBe(true);
        }),
        runs,
      ));
  });
});

// Where classes are equally probable, which of them is the head of adaptive_kl depends on their order.
const independent = settings.filter(([name]) => name !== "adaptive_kl");

describe.each(independent)("%s %o over k classes and the rest", (divergence, options) => {
  // The entropy that gates it depends on how the classes are cut.
  const monotone = divergence !== "entropy_aware";

  it(monotone ? "never exceeds what it is over all classes" : "is what it is over all classes for k = V", async () => {
    const full = await compileLoss({ divergence, ...options }, vocab);
    const coarse = await compileLoss({ divergence, signal: "top_k", k, ...options }, vocab);
    const everything = await compileLoss({ divergence, signal: "student_top_k", k: vocab, ...options }, vocab);
    const order = fc.shuffledSubarray([...new Array(vocab).keys()], { minLength: vocab, maxLength: vocab });
    await fc.assert(
      fc.asyncProperty(draws(8), fc.tuple(order, order, order, order), async (draw, ids) => {
        const exact = await full.run(caseOf(draw, "full"));
        if (monotone) {
          const part = await coarse.run(caseOf(draw, "top_k"));
          part.rows.forEach((value, row) => {
            expect(value).toBeLessThan(exact.rows[row]! * (1 + 1e-4) + 2e-5);
          });
        }
        const all = await everything.run(caseOf({ ...draw, ids }, "top_k"));
        expectAllClose(all.rows, exact.rows, { rtol: 1e-4, atol: 2e-5 });
      }),
      runs,
    );
    for (const program of [full, coarse, everything]) await program.release();
  });
});
