import { normals } from "../../../../../services/shared/base/random.js";
import { type DivergenceName, type DivergenceOptions, divergences } from "../../../../../services/shared/ml/losses/divergences.js";
import type { Objective } from "../../../../../services/shared/ml/losses/objective.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { logSoftmaxRows } from "../../../../support/loss/distributions.js";
import { type LossCase, lossOf } from "../../../../support/loss/loss.js";

const [rows, vocab, k] = [3, 6, 2];
const names = Object.keys(divergences) as DivergenceName[];
const settings: readonly [DivergenceName, Partial<DivergenceOptions>][] = [
  ...names.map((name) => [name, {}] as [DivergenceName, object]),
  ["jsd", { beta: 0 }],
  ["jsd", { beta: 1 }],
  ["jsd", { beta: 0.1 }],
  ["jsd", { beta: 0.9, normalizeJsd: true }],
  ["adaptive_kl", { headMass: 0.9 }],
  ["entropy_aware", { entropyThreshold: 1.2, forwardWeight: 0.3 }],
];

const draws = (seed: bigint, scale = 1.5) => Array.from(normals(seed, rows * vocab, scale));

const logSoftmax = (logits: readonly number[]): number[] => logSoftmaxRows(logits, vocab);

/** The top-k signal of a whole distribution. */
function topOf(logp: readonly number[]): LossCase["signal"] {
  const [ids, top, tail]: number[][] = [[], [], []];
  for (let row = 0; row < rows; row++) {
    const own = logp.slice(row * vocab, (row + 1) * vocab);
    const order = own.map((_, v) => v).sort((a, b) => own[b]! - own[a]!);
    ids!.push(...order.slice(0, k));
    top!.push(...order.slice(0, k).map((v) => own[v]!));
    tail!.push(Math.log(order.slice(k).reduce((sum, v) => sum + Math.exp(own[v]!), 0)));
  }
  return { ids: ids!, top: top!, tail: tail! };
}

function caseOf(student: readonly number[], teacher: readonly number[], signal: Objective["signal"]): LossCase {
  const logp = logSoftmax(teacher);
  return {
    rows,
    vocab,
    logits: student,
    labels: [0, 1, 2],
    weights: [0.5, 0.3, 0.2],
    signal: signal === "full" ? { full: logp } : topOf(logp),
  };
}

describe.each(["full", "top_k"] as const)("divergences over the signal %s", (signal) => {
  const evaluate = (divergence: DivergenceName, options: Partial<DivergenceOptions>, student: number[], teacher: number[]) =>
    lossOf({ divergence, signal, k, ...options }, caseOf(student, teacher, signal));

  it.each(settings)("%s %o is positive for different distributions and 0, without gradient, for equal ones", async (name, options) => {
    const apart = await evaluate(name, options, draws(1n), draws(2n));
    for (const row of apart.rows) expect(row).toBeGreaterThan(1e-4);
    const equal = await evaluate(name, options, draws(1n), draws(1n));
    expectAllClose(equal.rows, [0, 0, 0], { atol: 1e-6 });
    // |p − q| has a corner there.
    if (name !== "tvd") expectAllClose(equal.gradient, new Array(rows * vocab).fill(0), { atol: 1e-6 });
  });

  it.each(settings.filter(([name]) => name !== "adaptive_kl"))("%s %o has the slope of its value in every logit", async (name, options) => {
    const [student, teacher] = [draws(13n), draws(14n)];
    const { gradient } = await evaluate(name, options, student, teacher);
    const step = 1e-2;
    for (let i = 0; i < student.length; i++) {
      const at = async (shift: number) => (await evaluate(name, options, student.with(i, student[i]! + shift), teacher)).loss;
      const slope = ((await at(step)) - (await at(-step))) / (2 * step);
      expectAllClose([gradient[i]!], [slope], { rtol: 1e-2, atol: 2e-4 }, `gradient of logit ${i}`);
    }
  });

  it.each(settings)("%s %o does not change when a constant is added to the logits", async (name, options) => {
    const plain = await evaluate(name, options, draws(5n), draws(6n));
    const shifted = await evaluate(
      name,
      options,
      draws(5n).map((x) => x + 100),
      draws(6n).map((x) => x - 50),
    );
    expectAllClose(shifted.rows, plain.rows, { rtol: 1e-4, atol: 3e-5 });
    expectAllClose(shifted.gradient, plain.gradient, { rtol: 1e-4, atol: 3e-5 });
  });

  it.each(settings)("%s %o stays finite when both distributions are saturated on different tokens", async (name, options) => {
    const spike = (at: number) => Array.from({ length: rows * vocab }, (_, i) => (i % vocab === at ? 1e4 : -1e4));
    const { rows: values, gradient } = await evaluate(name, options, spike(0), spike(1));
    for (const value of values) expect(value).toBeGreaterThan(0);
    for (const value of gradient) expect(Number.isFinite(value)).toBe(true);
  });

  it.each(settings)("%s %o is unmoved by rows of weight 0, whatever they hold", async (name, options) => {
    const base = caseOf(draws(7n), draws(8n), signal);
    const one = await lossOf({ divergence: name, signal, k, ...options }, { ...base, weights: [1, 0, 0] });
    const logits = base.logits.map((x, i) => (i < vocab ? x : x * 1000));
    const other = await lossOf({ divergence: name, signal, k, ...options }, { ...base, weights: [1, 0, 0], logits });
    expect(other.loss).toBe(one.loss);
    expectAllClose(other.gradient.subarray(vocab), new Array(2 * vocab).fill(0), { atol: 0 });
  });
});

describe("jsd()", () => {
  const evaluate = (divergence: DivergenceName, options: Partial<DivergenceOptions>) =>
    lossOf({ divergence, ...options }, caseOf(draws(9n), draws(10n), "full"));

  it("is the forward KL at β = 0 and the reverse KL at β = 1, not 0", async () => {
    expect(await evaluate("jsd", { beta: 0 })).toEqual(await evaluate("forward_kl", {}));
    expect(await evaluate("jsd", { beta: 1 })).toEqual(await evaluate("reverse_kl", {}));
  });

  it("tends to them when divided by β(1−β)", async () => {
    const near = await evaluate("jsd", { beta: 0.001, normalizeJsd: true });
    const { rows: limit } = await evaluate("forward_kl", {});
    expectAllClose(near.rows, limit, { rtol: 2e-2 });
  });
});

describe("adaptiveKl()", () => {
  const logits = { student: draws(15n), teacher: draws(16n) };
  const evaluate = (divergence: DivergenceName, options: Partial<DivergenceOptions> = {}) =>
    lossOf({ divergence, ...options }, caseOf(logits.student, logits.teacher, "full"));
  const probabilities = (x: readonly number[], row: number) =>
    logSoftmax(x)
      .slice(row * vocab, (row + 1) * vocab)
      .map(Math.exp);

  it.each([0.2, 0.5, 0.8])("weighs both KLs by the gaps of head (mass %d) and tail, which it holds constant", async (headMass) => {
    const [adaptive, forward, reverse] = await Promise.all([
      evaluate("adaptive_kl", { headMass }),
      evaluate("forward_kl"),
      evaluate("reverse_kl"),
    ]);
    for (let row = 0; row < rows; row++) {
      const [p, q] = [probabilities(logits.teacher, row), probabilities(logits.student, row)];
      const order = p.map((_, v) => v).sort((a, b) => p[b]! - p[a]!);
      let [before, head, all] = [0, 0, 0];
      for (const v of order) {
        const gap = Math.abs(p[v]! - q[v]!);
        all += gap;
        if (before < headMass) head += gap;
        before += p[v]!;
      }
      const share = head / all;
      const blend = (a: Float32Array, b: Float32Array) => Array.from(a, (x, i) => share * x + (1 - share) * b[i]!);
      const at = (x: Float32Array) => x.subarray(row * vocab, (row + 1) * vocab);
      expectAllClose([adaptive.rows[row]!], [share * forward.rows[row]! + (1 - share) * reverse.rows[row]!], { rtol: 1e-5 });
      expectAllClose(at(adaptive.gradient), blend(at(forward.gradient), at(reverse.gradient)), { rtol: 1e-5, atol: 1e-6 });
    }
  });
});

describe("entropyAware()", () => {
  it("is the reverse KL, and where the teacher's entropy is above the threshold the forward KL besides", async () => {
    // One certain teacher, one uncertain, one in between.
    const teacher = [9, 0, 0, 0, 0, 0, 0, 0.1, 0.2, 0, 0.1, 0, 2.5, 0, 0, 0, 0, 0];
    const evaluate = (divergence: DivergenceName) =>
      lossOf({ divergence, entropyThreshold: 0.8, forwardWeight: 0.7 }, caseOf(draws(17n), teacher, "full"));
    const [aware, forward, reverse] = await Promise.all(
      ["entropy_aware", "forward_kl", "reverse_kl"].map((name) => evaluate(name as DivergenceName)),
    );
    const gate = [0, 0.7, 0.7];
    expectAllClose(
      aware!.rows,
      reverse!.rows.map((x, row) => x + gate[row]! * forward!.rows[row]!),
      { rtol: 1e-5 },
    );
    const blend = reverse!.gradient.map((x, i) => x + gate[Math.floor(i / vocab)]! * forward!.gradient[i]!);
    expectAllClose(aware!.gradient, blend, { rtol: 1e-5 });
  });
});

describe("the top-k signal", () => {
  it("stays a divergence where a sum over the top k alone is negative", async () => {
    // The student is sharper on the top two than the teacher: Σ_top p (log p − log q) < 0.
    const teacher = [1, 0.5, 0.4, 0.3, 0.2, 0.1];
    const student = [6, 5.5, 0, 0, 0, 0];
    const repeat = (x: number[]) => [...x, ...x, ...x];
    const [logp, logq] = [logSoftmax(repeat(teacher)), logSoftmax(repeat(student))];
    expect(Math.exp(logp[0]!) * (logp[0]! - logq[0]!) + Math.exp(logp[1]!) * (logp[1]! - logq[1]!)).toBeLessThan(0);
    const result = await lossOf({ divergence: "forward_kl", signal: "top_k", k }, caseOf(repeat(student), repeat(teacher), "top_k"));
    expect(result.rows[0]!).toBeGreaterThan(0.1);
    // The tail pulls the rest up, so a step against the gradient raises the emptied classes.
    for (const v of [2, 3, 4, 5]) expect(result.gradient[v]!).toBeLessThan(-1e-3);
  });

  it("keeps the tail of a confident student exact where 1 − Σ exp would cancel", async () => {
    const student = Array.from({ length: rows * vocab }, (_, i) => (i % vocab < k ? 30 : 0));
    const teacher = Array.from({ length: rows * vocab }, (_, i) => (i % vocab < k ? 1 : 0));
    const result = await lossOf({ divergence: "forward_kl", signal: "top_k", k }, caseOf(student, teacher, "top_k"));
    const mass = (2 * Math.E) / (2 * Math.E + 4);
    const tail = Math.log(4) - (30 + Math.log(2));
    const expected = mass * (Math.log(mass / 2) - Math.log(0.5)) + (1 - mass) * (Math.log(1 - mass) - tail);
    expectAllClose(result.rows, [expected, expected, expected], { rtol: 1e-5 });
  });
});
