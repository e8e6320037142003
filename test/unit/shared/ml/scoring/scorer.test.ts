import type { Model } from "../../../../../services/shared/ml/models/model.js";
import { Scorer } from "../../../../../services/shared/ml/scoring/scorer.js";
import type { Score, Signal } from "../../../../../services/shared/ml/signals/score.js";
import type { ScoreInput } from "../../../../../services/shared/ml/signals/signal.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";

const vocab = 150;
const model = smallModel();
const ids = (length: number, start: number) => Int32Array.from({ length }, (_, j) => (start + j * 11) % vocab);

/** Sequences of different lengths, so that batches are padded. */
const inputs: ScoreInput[] = [
  { promptIds: ids(5, 4), completionIds: ids(7, 50) },
  { promptIds: ids(1, 9), completionIds: ids(1, 70) },
  { promptIds: ids(12, 30), completionIds: ids(3, 5) },
  { promptIds: ids(2, 80), completionIds: ids(20, 90) },
];
const full: Signal = { kind: "full", k: 0, temperature: 1 };

async function score(signal: Signal, { batchTokens = 4096, of = inputs, by = model as Model } = {}): Promise<Score[]> {
  const scorer = new Scorer(by.config, by.params, { device: "cpu", threads: 1, batchTokens });
  try {
    return await scorer.score(of, signal);
  } finally {
    await scorer.release();
  }
}

const rowOf = ({ full }: Score, n: number) => [...full!.subarray(n * vocab, (n + 1) * vocab)];
const logSumExp = (x: readonly number[]) => {
  const top = Math.max(...x);
  return top + Math.log(x.reduce((sum, y) => sum + Math.exp(y - top), 0));
};
const worst = (a: ArrayLike<number>, b: ArrayLike<number>) => Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]!)));

describe("Scorer.score()", () => {
  it("gives distributions that sum to 1, and the given token's entry of each", async () => {
    const scores = await score(full);
    scores.forEach((one, i) => {
      const { completionIds } = inputs[i]!;
      expect(one.logprobs!).toHaveLength(completionIds.length);
      completionIds.forEach((id, n) => {
        expect(logSumExp(rowOf(one, n))).toBeCloseTo(0, 4);
        expect(one.logprobs![n]).toBe(rowOf(one, n)[id]);
      });
    });
  });

  it("reads weights where they are, if it is fed them: as they are by then", async () => {
    const { config, params } = smallModel();
    const scorer = new Scorer(config, params, { device: "cpu", threads: 1, batchTokens: 4096, weightsAsInputs: true });
    const compiled = async () => (await score(full, { by: { ...model, params } })).map((one) => one.full!);
    const fed = async () => (await scorer.score(inputs, full)).map((one) => one.full!);
    const before = await fed();
    expect(before).toEqual(await compiled());
    for (const { data } of params.values()) data.set(data.map((x) => 1.5 * x));
    const after = await fed();
    expect(after).toEqual(await compiled());
    expect(worst(after[0]!, before[0]!)).toBeGreaterThan(0.01);
    await scorer.release();
  });

  it.each(Object.entries(smallConfigs))("predicts each token from what stands before it, and from nothing else: %s", async (_, config) => {
    const by = smallModel(config);
    const [whole] = await score(full, { by, of: [inputs[3]!] });
    const { promptIds, completionIds } = inputs[3]!;
    for (const n of [0, 7, 19]) {
      const prefix = Int32Array.of(...promptIds, ...completionIds.subarray(0, n));
      const [alone] = await score(full, { by, of: [{ promptIds: prefix, completionIds: completionIds.subarray(n, n + 1) }] });
      expect(worst(rowOf(alone!, 0), rowOf(whole!, n))).toBeLessThan(1e-4);
    }
  });

  it.each([1, 24, 64])("gives the same whatever is batched together (budget of %d tokens)", async (batchTokens) => {
    const [together, apart] = [await score(full), await score(full, { batchTokens })];
    together.forEach((one, i) => {
      expect(worst(one.full!, apart[i]!.full!)).toBeLessThan(1e-4);
    });
  });

  it("divides the logits by the temperature", async () => {
    const [warm, plain] = [await score({ ...full, temperature: 2.5 }), await score(full)];
    const halved = rowOf(plain[0]!, 2).map((x) => x / 2.5);
    const expected = halved.map((x) => x - logSumExp(halved));
    expect(worst(rowOf(warm[0]!, 2), expected)).toBeLessThan(1e-4);
  });

  it.each([1, 5, 149, 150])("top_k with k = %d is the likeliest classes of the full distribution and the mass of the rest", async (k) => {
    const [all, top] = [await score({ ...full, temperature: 0.8 }), await score({ kind: "top_k", k, temperature: 0.8 })];
    top.forEach((one, i) => {
      expect(worst(one.logprobs!, all[i]!.logprobs!)).toBeLessThan(1e-5);
      for (let n = 0; n < one.logprobs!.length; n++) {
        const row = rowOf(all[i]!, n);
        const order = row.map((_, id) => id).sort((a, b) => row[b]! - row[a]! || a - b);
        expect([...one.ids!.subarray(n * k, (n + 1) * k)]).toEqual(order.slice(0, k));
        expect(worst(one.topLogprobs!.subarray(n * k, (n + 1) * k), order.map((id) => row[id]!).slice(0, k))).toBeLessThan(1e-5);
        const rest = order.slice(k).map((id) => row[id]!);
        if (rest.length) expect(one.tail![n]).toBeCloseTo(logSumExp(rest), 3);
        else expect(one.tail![n]).toBe(Number.NEGATIVE_INFINITY);
      }
    });
  });

  it("keeps the tail's log-probability where 1 minus the top mass would be 0", async () => {
    // Cold enough that the rest has less mass than float32 can tell from 1.
    const signal = { k: 5, temperature: 0.1 };
    const [all, top] = [await score({ kind: "full", ...signal }), await score({ kind: "top_k", ...signal })];
    let extreme = 0;
    all.forEach((one, i) => {
      one.logprobs!.forEach((_, n) => {
        const rest = logSumExp(
          rowOf(one, n)
            .sort((a, b) => b - a)
            .slice(5),
        );
        if (rest > -17 || rest < -80) return;
        extreme++;
        expect(top[i]!.tail![n]! / rest).toBeCloseTo(1, 3);
      });
    });
    expect(extreme).toBeGreaterThan(0);
  });

  it("gives the tail where its mass is below what float32 can hold", async () => {
    const signal = { k: 3, temperature: 0.02 };
    const [all, top] = [await score({ kind: "full", ...signal }), await score({ kind: "top_k", ...signal })];
    all.forEach((one, i) => {
      one.logprobs!.forEach((_, n) => {
        const rest = logSumExp(
          rowOf(one, n)
            .sort((a, b) => b - a)
            .slice(3),
        );
        expect(top[i]!.tail![n]! / rest).toBeCloseTo(1, 3);
      });
    });
  });

  it.each<[string, Signal, ScoreInput, string]>([
    ["an empty prompt", full, { promptIds: ids(0, 0), completionIds: ids(2, 3) }, "at least one token each"],
    ["an empty completion", full, { promptIds: ids(2, 0), completionIds: ids(0, 3) }, "at least one token each"],
    ["a sequence too long", full, { promptIds: ids(50, 0), completionIds: ids(48, 3) }, "exceed the model's 96 positions"],
    ["a stray token", full, { promptIds: ids(2, 0), completionIds: Int32Array.of(3, 150) }, "token id 150 is outside"],
    ["a k above V", { kind: "top_k", k: 151, temperature: 1 }, inputs[0]!, "signal.k is 151"],
    ["a temperature of 0", { ...full, temperature: 0 }, inputs[0]!, "signal.temperature is 0"],
  ])("refuses %s", async (_, signal, input, message) => {
    await expect(score(signal, { of: [input] })).rejects.toThrow(message);
  });
});
