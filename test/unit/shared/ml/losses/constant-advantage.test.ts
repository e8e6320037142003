import { needsTeacher, objectiveProblems } from "../../../../../services/shared/ml/losses/objective.js";
import { rowReports } from "../../../../../services/shared/ml/losses/row-losses.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { logSoftmaxRows } from "../../../../support/loss/distributions.js";
import { type LossCase, lossOf, plainObjective } from "../../../../support/loss/loss.js";

const [rows, vocab] = [4, 5];
const logits = [2, 0.5, -1, 0, 0.3, 0.1, 0.2, 0.3, 0.4, 0.5, 3, -2, -2, -2, -2, 1, 1, -1, -1, 0];
const labels = [1, 4, 0, 2];
const weights = [0.4, 0.3, 0.2, 0.1];
const logq = logSoftmaxRows(logits, vocab);
const samplerLogprobs = labels.map((label, n) => logq[n * vocab + label]! - 0.2);
const input: LossCase = { rows, vocab, logits, labels, weights, samplerLogprobs, sampled: [1, 1, 1, 0], signal: {} };

/** The loss's value and gradient by its definition: c · w · [q < limit] · ρ · log q, whose gradient is c · w · ρ · (onehot − q). */
function expected(c: number, limit: number) {
  let loss = 0;
  const gradient = new Array<number>(rows * vocab).fill(0);
  labels.forEach((label, n) => {
    const own = logq[n * vocab + label]!;
    if (Math.exp(own) >= limit) return;
    const ratio = n === 3 ? 1 : Math.exp(0.2);
    const scale = c * weights[n]! * ratio;
    loss += scale * own;
    for (let v = 0; v < vocab; v++) gradient[n * vocab + v] = scale * (Number(v === label) - Math.exp(logq[n * vocab + v]!));
  });
  return { loss, gradient };
}

describe("constant_advantage", () => {
  it.each([
    [1, 0.5],
    [0.3, 0.2],
    [2, 1],
  ])("weighs improbable tokens alone, all alike: coefficient %d below %d", async (klCoef, lowProbability) => {
    const result = await lossOf({ divergence: "constant_advantage", klCoef, lowProbability }, input);
    const { loss, gradient } = expected(klCoef, lowProbability);
    expect(result.loss).toBeCloseTo(loss, 5);
    expectAllClose(result.gradient, gradient, { rtol: 1e-5, atol: 1e-6 });
  });

  it("reports what each token was weighed with", async () => {
    const { rows: report } = await lossOf({ divergence: "constant_advantage", klCoef: 2, lowProbability: 0.5 }, input);
    expect([...report]).toEqual(labels.map((label, n) => (Math.exp(logq[n * vocab + label]!) < 0.5 ? 2 : 0)));
    expect(new Set(report)).toEqual(new Set([0, 2]));
  });

  it("asks no teacher, whatever the signal, and has no classes to compare", () => {
    const objective = { ...plainObjective, divergence: "constant_advantage" as const, signal: "sampled" as const };
    expect(needsTeacher(objective)).toBe(false);
    expect(objectiveProblems(objective)).toEqual([]);
    expect(rowReports(objective)).not.toContain("overlap");
    expect(objectiveProblems({ ...objective, lowProbability: 1.5 })).toMatchObject([{ fieldPath: "objective.lowProbability" }]);
  });
});
