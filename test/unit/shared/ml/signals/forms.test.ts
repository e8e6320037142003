import { generator, normals } from "../../../../../services/shared/base/random.js";
import { type DivergenceName, divergences } from "../../../../../services/shared/ml/losses/divergences.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { chosenClasses, drawnLogits, largestClasses, logSoftmaxRows } from "../../../../support/loss/distributions.js";
import { type LossCase, lossOf } from "../../../../support/loss/loss.js";

const [rows, vocab, width] = [3, 11, 5];
const names = Object.keys(divergences) as DivergenceName[];
const student = drawnLogits(1n, rows, vocab);
const logp = logSoftmaxRows(drawnLogits(2n, rows, vocab), vocab);
const base = { rows, vocab, logits: student, labels: [0, 4, 10], weights: [0.5, 0.3, 0.2] };
const whole: LossCase = { ...base, signal: { full: logp } };
const given = base.labels.map((label, row) => logp[row * vocab + label]!);

describe.each(names)("%s", (divergence) => {
  it.each([
    ["top_k", logp],
    ["student_top_k", student],
  ] as const)("over %s with k = V equals the whole distribution", async (signal, by) => {
    const full = await lossOf({ divergence }, whole);
    const all = await lossOf(
      { divergence, signal, k: vocab },
      { ...base, signal: chosenClasses(logp, vocab, largestClasses(by, vocab, vocab)) },
    );
    expectAllClose(all.rows, full.rows, { rtol: 1e-5, atol: 1e-6 });
    expectAllClose(all.gradient, full.gradient, { rtol: 1e-5, atol: 1e-6 });
  });

  it("over hidden states equals the distribution that the head makes of them, at the teacher's temperature", async () => {
    const hidden = Array.from(normals(3n, rows * width, 1));
    const head = Array.from(normals(4n, vocab * width, 1));
    const teacherTemperature = 1.7;
    const logits = Array.from({ length: rows * vocab }, (_, i) => {
      const [row, v] = [Math.floor(i / vocab), i % vocab];
      return (
        Array.from({ length: width }, (_, d) => hidden[row * width + d]! * head[v * width + d]!).reduce((a, b) => a + b) /
        teacherTemperature
      );
    });
    const full = await lossOf({ divergence }, { ...base, signal: { full: logSoftmaxRows(logits, vocab) } });
    const states = await lossOf({ divergence, signal: "hidden", teacherTemperature }, { ...base, signal: { hidden, head } });
    expectAllClose(states.rows, full.rows, { rtol: 1e-5, atol: 2e-6 });
    expectAllClose(states.gradient, full.gradient, { rtol: 1e-5, atol: 2e-6 });
  });

  it("times the square of the student's temperature, if asked, in the loss and not in the report", async () => {
    const plain = await lossOf({ divergence, studentTemperature: 2 }, whole);
    const scaled = await lossOf({ divergence, studentTemperature: 2, temperatureSquared: true }, whole);
    expectAllClose([scaled.loss], [4 * plain.loss], { rtol: 1e-5 });
    expectAllClose(
      scaled.gradient,
      plain.gradient.map((x) => 4 * x),
      { rtol: 1e-5 },
    );
    expect(scaled.rows).toEqual(plain.rows);
  });
});

/** Counts of k draws from each row's distribution. */
function drawn(k: number, next: () => number): LossCase["signal"] {
  const tallies = Array.from({ length: rows }, (_, row) => {
    const tally = new Array<number>(vocab).fill(0);
    for (let draw = 0; draw < k; draw++) {
      let u = next() / 2 ** 32;
      let v = 0;
      while (v < vocab - 1 && u >= Math.exp(logp[row * vocab + v]!)) u -= Math.exp(logp[row * vocab + v++]!);
      tally[v]!++;
    }
    return tally;
  });
  const entropy = tallies.map((_, row) => -logp.slice(row * vocab, (row + 1) * vocab).reduce((sum, x) => sum + Math.exp(x) * x, 0));
  return { ids: tallies.flatMap((tally) => tally.map((_, v) => v)), counts: tallies.flat(), entropy };
}

describe("random_k", () => {
  const k = 20;

  it("has the gradient q − c/k, weighted", async () => {
    const signal = drawn(k, generator(7n));
    const { gradient } = await lossOf({ signal: "random_k", k }, { ...base, signal });
    const logq = logSoftmaxRows(student, vocab);
    const expected = logq.map((x, i) => (Math.exp(x) - signal.counts![i]! / k) * base.weights[Math.floor(i / vocab)]!);
    expectAllClose(gradient, expected, { rtol: 1e-5, atol: 1e-6 });
  });

  it("is the forward KL in value and gradient when the shares drawn are the teacher's own", async () => {
    const full = await lossOf({}, whole);
    const counts = logp.map((x) => 1000 * Math.exp(x));
    const exact = await lossOf({ signal: "random_k", k: 1000 }, { ...base, signal: { ...drawn(1, generator(8n)), counts } });
    expectAllClose(exact.rows, full.rows, { rtol: 1e-4, atol: 1e-5 });
    expectAllClose(exact.gradient, full.gradient, { rtol: 1e-4, atol: 1e-5 });
  });

  it("is unbiased: over many draws value and gradient tend to those of the forward KL", async () => {
    const full = await lossOf({}, whole);
    const next = generator(9n);
    const repetitions = 300;
    const [value, gradient] = [new Float64Array(rows), new Float64Array(rows * vocab)];
    for (let i = 0; i < repetitions; i++) {
      const one = await lossOf({ signal: "random_k", k }, { ...base, signal: drawn(k, next) });
      one.rows.forEach((x, row) => {
        value[row]! += x / repetitions;
      });
      one.gradient.forEach((x, j) => {
        gradient[j]! += x / repetitions;
      });
    }
    // The deviation of a mean over 6000 draws of terms of about 2 nats is 0.03.
    expectAllClose(value, full.rows, { atol: 0.12, rtol: 0 });
    expectAllClose(gradient, full.gradient, { atol: 0.02, rtol: 0 });
  });

  it("is unmoved by the classes that fill a row up", async () => {
    const signal = drawn(k, generator(10n));
    const plain = await lossOf({ signal: "random_k", k }, { ...base, signal });
    const widen = (list: readonly number[]) =>
      Array.from({ length: rows }, (_, row) => [...list.slice(row * vocab, (row + 1) * vocab), 0, 0]).flat();
    const wider = { ...signal, ids: widen(signal.ids!), counts: widen(signal.counts!) };
    const filled = await lossOf({ signal: "random_k", k }, { ...base, signal: wider });
    expectAllClose(filled.gradient, plain.gradient, { atol: 1e-7 });
    expectAllClose(filled.rows, plain.rows, { rtol: 1e-6 });
  });
});

describe("opd with the exact baseline (vOPD)", () => {
  const opd = { divergence: "opd", ratioClip: 5 } as const;
  const withToken = (labels: number[]): LossCase => ({
    ...whole,
    labels,
    weights: [1, 1, 1],
    teacherLogprobs: labels.map((label, row) => logp[row * vocab + label]!),
  });

  it("has the expected gradient of the reverse KL, with the baseline and without", async () => {
    const logq = logSoftmaxRows(student, vocab);
    const reverse = await lossOf({ divergence: "reverse_kl" }, { ...whole, weights: [1, 1, 1] });
    for (const klBaseline of [false, true]) {
      const expected = new Float64Array(rows * vocab);
      for (let label = 0; label < vocab; label++) {
        const { gradient } = await lossOf({ ...opd, klBaseline }, withToken(new Array<number>(rows).fill(label)));
        gradient.forEach((x, i) => {
          expected[i]! += Math.exp(logq[Math.floor(i / vocab) * vocab + label]!) * x;
        });
      }
      expectAllClose(expected, reverse.gradient, { rtol: 1e-4, atol: 1e-5 });
    }
  });

  it("varies less with the token that was drawn", async () => {
    const logq = logSoftmaxRows(student, vocab);
    const spread = async (klBaseline: boolean) => {
      let total = 0;
      for (let label = 0; label < vocab; label++) {
        const { gradient } = await lossOf({ ...opd, klBaseline }, withToken(new Array<number>(rows).fill(label)));
        gradient.forEach((x, i) => {
          total += Math.exp(logq[Math.floor(i / vocab) * vocab + label]!) * x * x;
        });
      }
      return total;
    };
    expect(await spread(true)).toBeLessThan(await spread(false));
  });

  it.each(["top_k", "student_top_k"] as const)("takes its baseline from %s too: with k = V the same one", async (signal) => {
    const exact = await lossOf({ ...opd, klBaseline: true }, withToken(base.labels));
    const classes = chosenClasses(logp, vocab, largestClasses(logp, vocab, vocab));
    const chosen = await lossOf({ ...opd, klBaseline: true, signal, k: vocab }, { ...withToken(base.labels), signal: classes });
    expectAllClose(chosen.gradient, exact.gradient, { rtol: 1e-5, atol: 1e-6 });
  });

  it("needs the token's log-probability only, when no baseline is asked for", async () => {
    const full = await lossOf(opd, { ...whole, teacherLogprobs: given });
    const sampled = await lossOf({ ...opd, signal: "sampled" }, { ...base, teacherLogprobs: given, signal: {} });
    expect(sampled.gradient).toEqual(full.gradient);
    expect(sampled.rows).toEqual(full.rows);
  });

  it("finds the token's log-probability in hidden states", async () => {
    const hidden = Array.from(normals(3n, rows * width, 1));
    const head = Array.from(normals(4n, vocab * width, 1));
    const logits = Array.from({ length: rows * vocab }, (_, i) =>
      Array.from({ length: width }, (_, d) => hidden[Math.floor(i / vocab) * width + d]! * head[(i % vocab) * width + d]!).reduce(
        (a, b) => a + b,
      ),
    );
    const teacher = logSoftmaxRows(logits, vocab);
    const teacherLogprobs = base.labels.map((label, row) => teacher[row * vocab + label]!);
    const full = await lossOf({ ...opd, klBaseline: true }, { ...base, teacherLogprobs, signal: { full: teacher } });
    const states = await lossOf({ ...opd, klBaseline: true, signal: "hidden" }, { ...base, signal: { hidden, head } });
    expectAllClose(states.rows, full.rows, { rtol: 1e-5, atol: 2e-6 });
    expectAllClose(states.gradient, full.gradient, { rtol: 1e-5, atol: 2e-6 });
  });
});
