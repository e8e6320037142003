import { readFileSync } from "node:fs";
import { mixedScore, topOfUnion, unionOf } from "../../services/shared/ml/signals/mix-scores.js";
import type { Score, Signal } from "../../services/shared/ml/signals/score.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { chosenClasses, largestClasses } from "../support/loss/distributions.js";
import { lossOf } from "../support/loss/loss.js";

interface Golden {
  readonly rows: number;
  readonly vocab: number;
  readonly k: number;
  readonly shares: number[];
  readonly caps: (number | null)[];
  readonly widths: number[];
  readonly temperature: number;
  readonly heads: number[][];
  readonly hidden: number[][];
  /** Log-probabilities of each model, and of the mixture. */
  readonly models: number[][];
  readonly mixture: number[];
  readonly labels: number[];
  readonly logits: number[];
  readonly top: { readonly ids: number[]; readonly logprobs: number[]; readonly tail: number[] };
  readonly losses: {
    readonly divergence: "forward_kl" | "jsd" | "reverse_kl";
    readonly signal: "full" | "top_k";
    loss: number;
    gradient: number[];
  }[];
}

const golden = JSON.parse(readFileSync("test/golden/fixtures/ensembles.json", "utf8")) as Golden;
const { rows, vocab, k, shares, models, labels, temperature, widths } = golden;
const bounds = { rtol: 1e-5, atol: 2e-6 };
const given = (logp: readonly number[]) => Float32Array.from(labels, (label, n) => logp[n * vocab + label]!);

/** What each model says of the text, of some kind. */
function scoresOf(kind: "full" | "sampled" | "student_top_k" | "top_k", classes: readonly number[][] = []): Score[] {
  return models.map((logp): Score => {
    const chosen = kind === "top_k" ? largestClasses(logp, vocab, k) : classes;
    const signal: Signal = { kind, k: chosen[0]?.length ?? 0, temperature };
    const score = { signal, logprobs: given(logp) };
    if (kind === "sampled") return score;
    if (kind === "full") return { ...score, full: Float32Array.from(logp) };
    const { ids, top, tail } = chosenClasses(logp, vocab, chosen);
    return { ...score, ids: Int32Array.from(ids!), topLogprobs: Float32Array.from(top!), tail: Float32Array.from(tail!) };
  });
}

describe("an ensemble's scores against PyTorch", () => {
  it("mixes whole distributions, and the given token's probability", () => {
    for (const kind of ["full", "sampled"] as const) {
      const score = mixedScore(scoresOf(kind), shares, rows);
      expectAllClose(score.logprobs!, [...given(golden.mixture)], bounds, kind);
      if (kind === "full") expectAllClose(score.full!, golden.mixture, bounds);
      else expect(score).not.toHaveProperty("full");
    }
  });

  it("mixes what is said of the student's classes", () => {
    const classes = Array.from({ length: rows }, (_, n) => [n, 5, 9]);
    const score = mixedScore(scoresOf("student_top_k", classes), shares, rows);
    const expected = chosenClasses(golden.mixture, vocab, classes);
    expectAllClose(score.topLogprobs!, expected.top!, bounds);
    expectAllClose(score.tail!, expected.tail!, bounds);
    expect([...score.ids!]).toEqual(classes.flat());
  });

  it("finds the mixture's most probable classes in the union of the models', with the exact mass of the rest", () => {
    const { ids, width } = unionOf(scoresOf("top_k"), vocab);
    expect(width).toBe(2 * k);
    const union = Array.from({ length: rows }, (_, n) => [...ids.subarray(n * width, (n + 1) * width)]);
    for (const classes of union) expect(new Set(classes).size).toBe(width);
    const signal: Signal = { kind: "top_k", k, temperature };
    const score = topOfUnion(mixedScore(scoresOf("student_top_k", union), shares, rows), signal);
    expect([...score.ids!]).toEqual(golden.top.ids);
    expectAllClose(score.topLogprobs!, golden.top.logprobs, bounds);
    expectAllClose(score.tail!, golden.top.tail, bounds);
    expect(score.signal).toEqual(signal);
  });

  it("has all classes where the models have few, and nothing outside them", () => {
    const all = models.map((logp): Score => {
      const { ids, top } = chosenClasses(logp, vocab, largestClasses(logp, vocab, vocab));
      const tail = new Float32Array(rows).fill(Number.NEGATIVE_INFINITY);
      return {
        signal: { kind: "top_k", k: vocab, temperature },
        logprobs: given(logp),
        ids: Int32Array.from(ids!),
        topLogprobs: Float32Array.from(top!),
        tail,
      };
    });
    const { ids, width } = unionOf(all, vocab);
    expect(width).toBe(vocab);
    const union = Array.from({ length: rows }, (_, n) => [...ids.subarray(n * width, (n + 1) * width)]);
    const about = scoresOf("student_top_k", union).map((score) => ({ ...score, tail: all[0]!.tail! }));
    const score = topOfUnion(mixedScore(about, shares, rows), all[0]!.signal);
    expect([...score.tail!]).toEqual(new Array(rows).fill(Number.NEGATIVE_INFINITY));
    const byClass = new Float32Array(rows * vocab);
    score.ids!.forEach((id, i) => {
      byClass[Math.floor(i / vocab) * vocab + id] = score.topLogprobs![i]!;
    });
    expectAllClose(byClass, golden.mixture, bounds);
  });

  it("puts hidden states side by side", () => {
    const parts = golden.hidden.map(
      (hidden): Score => ({
        signal: { kind: "hidden", k: 0, temperature, hiddenDtype: "float32" },
        hidden: Float32Array.from(hidden),
      }),
    );
    const { hidden } = mixedScore(parts, shares, rows);
    const expected = Array.from({ length: rows }, (_, n) =>
      golden.hidden.flatMap((own, m) => own.slice(n * widths[m]!, (n + 1) * widths[m]!)),
    );
    expectAllClose(hidden as Float32Array, expected.flat(), { atol: 1e-6 });
  });

  it("refuses draws", () => {
    const draws: Score = { signal: { kind: "random_k", k: 3, temperature } };
    expect(() => mixedScore([draws, draws], shares, rows)).toThrow(/random_k can't be mixed/);
  });
});

describe("losses of an ensemble against PyTorch: value and gradient", () => {
  const weights = new Array<number>(rows).fill(1 / rows);
  const states = Array.from({ length: rows }, (_, n) => golden.hidden.flatMap((own, m) => own.slice(n * widths[m]!, (n + 1) * widths[m]!)));
  const heads = widths.map((width, m) => ({ width, share: shares[m]!, softCap: golden.caps[m] ?? undefined }));
  const input = { rows, vocab, logits: golden.logits, labels, weights };

  it.each(golden.losses)("$divergence of $signal", async ({ divergence, signal, loss, gradient }) => {
    const { ids, logprobs: top, tail } = golden.top;
    const result = await lossOf(
      { divergence, signal, k },
      { ...input, signal: signal === "full" ? { full: golden.mixture } : { ids, top, tail } },
    );
    expectAllClose([result.loss, ...result.gradient], [loss, ...gradient], bounds);
  });

  it.each(golden.losses.filter(({ signal }) => signal === "full"))(
    "$divergence of the heads' mixture",
    async ({ divergence, loss, gradient }) => {
      const signal = { hidden: states.flat(), heads: golden.heads };
      const result = await lossOf({ divergence, signal: "hidden", teacherTemperature: temperature }, { ...input, signal }, heads);
      expectAllClose([result.loss, ...result.gradient], [loss, ...gradient], bounds);
    },
  );
});
