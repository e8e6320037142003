import { tokenDivergences } from "../../../../../services/shared/ml/evaluation/divergence.js";
import type { Score } from "../../../../../services/shared/ml/signals/score.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";

const logs = (rows: readonly (readonly number[])[]): Float32Array => Float32Array.from(rows.flat().map(Math.log));
const full = (rows: readonly (readonly number[])[]): Score => ({
  signal: { kind: "full", k: 0, temperature: 1 },
  logprobs: logs(rows.map(([first]) => [first!])),
  full: logs(rows),
});

const p = [
  [0.7, 0.2, 0.1],
  [0.25, 0.25, 0.5],
];
const q = [
  [0.5, 0.25, 0.25],
  [0.25, 0.25, 0.5],
];
const kl = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + (x && x * Math.log(x / b[i]!)), 0);

describe("tokenDivergences()", () => {
  it("gives both KLs and the teacher's negative log-likelihood, token by token", () => {
    const { forwardKl, reverseKl, teacherNll } = tokenDivergences(full(q), full(p));
    expect(Array.from(forwardKl)).toEqual([expect.closeTo(kl(p[0]!, q[0]!), 6), expect.closeTo(0, 6)]);
    expect(Array.from(reverseKl)).toEqual([expect.closeTo(kl(q[0]!, p[0]!), 6), expect.closeTo(0, 6)]);
    expect(Array.from(teacherNll)).toEqual([expect.closeTo(-Math.log(0.7), 6), expect.closeTo(-Math.log(0.25), 6)]);
  });

  it("compares the top classes and the rest as one more where the teacher's distribution is cut", () => {
    const cut: Score = {
      signal: { kind: "top_k", k: 1, temperature: 1 },
      logprobs: logs([[0.7], [0.25]]),
      ids: Int32Array.of(0, 2),
      topLogprobs: logs([[0.7], [0.5]]),
      tail: logs([[0.3], [0.5]]),
    };
    const { forwardKl, reverseKl } = tokenDivergences(full(q), cut);
    expect(forwardKl[0]).toBeCloseTo(kl([0.7, 0.3], [0.5, 0.5]), 6);
    expect(reverseKl[0]).toBeCloseTo(kl([0.5, 0.5], [0.7, 0.3]), 6);
    expect([forwardKl[1], reverseKl[1]]).toEqual([expect.closeTo(0, 6), expect.closeTo(0, 6)]);
  });

  it("counts nothing where a probability is 0 on the weighing side, and is infinite where it is 0 on the other", () => {
    const { forwardKl, reverseKl } = tokenDivergences(full([[0.5, 0.5]]), full([[1, 0]]));
    expect(forwardKl[0]).toBeCloseTo(Math.log(2), 6);
    expect(reverseKl[0]).toBe(Number.POSITIVE_INFINITY);
  });

  it.each(["the model", "the teacher"])("ranges over the rows that both have, renormalised, where %s has more", (who) => {
    const padded = (rows: readonly (readonly number[])[], shares: readonly number[]) =>
      rows.map((row, n) => [...row.map((x) => x * (1 - 2 * shares[n]!)), shares[n]!, shares[n]!]);
    const plain = tokenDivergences(full(q), full(p));
    const [model, teacher] = who === "the model" ? [padded(q, [0.2, 0.45]), p] : [q, padded(p, [0.2, 0.45])];
    const found = tokenDivergences(full(model), full(teacher));
    expectAllClose(found.forwardKl, plain.forwardKl, { rtol: 1e-5, atol: 1e-6 }, "forwardKl");
    expectAllClose(found.reverseKl, plain.reverseKl, { rtol: 1e-5, atol: 1e-6 }, "reverseKl");
    expectAllClose(found.teacherNll, plain.teacherNll, { rtol: 1e-5, atol: 1e-6 }, "teacherNll");
  });

  it("refuses top classes that the model has no row for", () => {
    const cut: Score = {
      signal: { kind: "top_k", k: 1, temperature: 1 },
      logprobs: logs([[0.7]]),
      ids: Int32Array.of(2),
      topLogprobs: logs([[0.7]]),
      tail: logs([[0.3]]),
    };
    expect(() => tokenDivergences(full([[0.5, 0.5]]), cut)).toThrow(/id 2, and the model 2 rows/);
  });

  it("refuses a score without a distribution, and one of other tokens", () => {
    const bare: Score = { signal: { kind: "top_k", k: 1, temperature: 1 }, logprobs: Float32Array.of(-1) };
    expect(() => tokenDivergences(full([[0.5, 0.5]]), bare)).toThrow(/holds no distribution/);
    expect(() => tokenDivergences(full(q), full([p[0]!]))).toThrow(/over 1 token$/);
  });
});
