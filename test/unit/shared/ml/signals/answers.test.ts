import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import { headDigest } from "../../../../../services/shared/ml/models/model.js";
import { headName } from "../../../../../services/shared/ml/models/model-params.js";
import { halfValues } from "../../../../../services/shared/ml/models/safetensors/widen.js";
import { Scorer } from "../../../../../services/shared/ml/scoring/scorer.js";
import type { Score, Signal } from "../../../../../services/shared/ml/signals/score.js";
import type { ScoreInput } from "../../../../../services/shared/ml/signals/signal.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { chosenClasses, largestClasses, logSoftmaxRows } from "../../../../support/loss/distributions.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";

const vocab = 150;
const model = smallModel();
const ids = (length: number, start: number) => Int32Array.from({ length }, (_, j) => (start + j * 11) % vocab);
const inputs: ScoreInput[] = [
  { promptIds: ids(5, 4), completionIds: ids(7, 50) },
  { promptIds: ids(1, 9), completionIds: ids(1, 70) },
  { promptIds: ids(2, 80), completionIds: ids(20, 90) },
];

async function score(signal: Signal, of: readonly ScoreInput[] = inputs, by = model, batchTokens = 4096): Promise<Score[]> {
  const scorer = new Scorer(by.config, by.params, { device: "cpu", threads: 1, batchTokens });
  try {
    return await scorer.score(of, signal);
  } finally {
    await scorer.release();
  }
}

const temperature = 0.8;
const full = { kind: "full", k: 0, temperature } as const;

describe("the signal sampled", () => {
  it("is the given token's log-probability, and nothing else", async () => {
    const [all, sampled] = [await score(full), await score({ ...full, kind: "sampled" })];
    sampled.forEach((one, i) => {
      expectAllClose(one.logprobs!, all[i]!.logprobs!, { rtol: 1e-5, atol: 1e-5 });
      expect(Object.keys(one).sort()).toEqual(["logprobs", "signal"]);
    });
  });
});

describe("the signal student_top_k", () => {
  /** k classes at each token, far from the likeliest ones. */
  const chosen = (k: number): ScoreInput[] =>
    inputs.map((input) => ({
      ...input,
      studentTopIds: Int32Array.from({ length: input.completionIds.length * k }, (_, i) => (Math.floor(i / k) * 7 + (i % k) * 3) % vocab),
    }));

  it.each([1, 6, 49])("gives the log-probabilities of %d classes that the student chose, and the mass of the rest", async (k) => {
    const of = chosen(k);
    const [all, answers] = [await score(full), await score({ kind: "student_top_k", k, temperature }, of)];
    answers.forEach((one, i) => {
      const rows = Array.from({ length: one.logprobs!.length }, (_, n) => [...of[i]!.studentTopIds!.subarray(n * k, (n + 1) * k)]);
      const expected = chosenClasses([...all[i]!.full!], vocab, rows);
      expectAllClose(one.topLogprobs!, expected.top!, { rtol: 1e-5, atol: 1e-5 });
      expectAllClose(one.tail!, expected.tail!, { rtol: 1e-4, atol: 1e-4 });
      expect(one.ids).toEqual(of[i]!.studentTopIds);
    });
  });

  it("has no tail when the student chose every class", async () => {
    const studentTopIds = Int32Array.from({ length: vocab }, (_, v) => vocab - 1 - v);
    const [one] = await score({ kind: "student_top_k", k: vocab, temperature: 1 }, [{ ...inputs[1]!, studentTopIds }]);
    expect([...one!.tail!]).toEqual([Number.NEGATIVE_INFINITY]);
  });

  it.each<[string, Int32Array | undefined, RegExp]>([
    ["without classes", undefined, /studentTopIds has 0 elements; student_top_k needs 2 for each of the 1 token$/],
    ["with too few", Int32Array.of(3), /studentTopIds has 1 element;/],
    ["with a class outside the vocabulary", Int32Array.of(3, 150), /studentTopIds\[1\] is 150, outside the vocabulary of 150/],
    ["with a class that stands twice", Int32Array.of(3, 3), /studentTopIds\[1\] is 3, which stands twice at token 0/],
  ])("is refused %s", async (_, studentTopIds, message) => {
    await expect(score({ kind: "student_top_k", k: 2, temperature: 1 }, [{ ...inputs[1]!, studentTopIds }])).rejects.toThrow(message);
  });
});

describe("the signal hidden", () => {
  /** The distribution that the model's head makes of hidden states. */
  function distribution(hidden: ArrayLike<number>, by = model): number[] {
    const head = by.params.get(headName(by.config))!;
    const { hiddenSize: width, logitSoftCap: cap } = by.config;
    const logits = Array.from({ length: (hidden.length / width) * vocab }, (_, i) => {
      const [row, v] = [Math.floor(i / vocab), i % vocab];
      let total = 0;
      for (let d = 0; d < width; d++) total += hidden[row * width + d]! * head.data[v * width + d]!;
      return (cap === undefined ? total : cap * Math.tanh(total / cap)) / temperature;
    });
    return logSoftmaxRows(logits, vocab);
  }

  it.each(Object.entries(smallConfigs))("in float32 is the whole distribution, through the head: %s", async (_, config) => {
    const by = smallModel(config);
    const all = await score(full, inputs, by);
    const states = await score({ kind: "hidden", k: 0, temperature: 1, hiddenDtype: "float32" }, inputs, by);
    states.forEach((one, i) => {
      expectAllClose(distribution(one.hidden!, by), all[i]!.full!, { rtol: 1e-4, atol: 1e-4 });
      expect(one.logprobs).toBeUndefined();
    });
  });

  it("in float16, the default, is that to three digits", async () => {
    const all = await score(full);
    const states = await score({ kind: "hidden", k: 0, temperature: 1 });
    const numbers = halfValues();
    states.forEach((one, i) => {
      expect(one.hidden).toBeInstanceOf(Uint16Array);
      expectAllClose(distribution(Array.from(one.hidden!, (bits) => numbers[bits]!)), all[i]!.full!, { rtol: 5e-3, atol: 2e-2 });
    });
  });

  it("is refused in float16 where a state is beyond its range", async () => {
    const params = new Map(model.params);
    const norm = params.get("model.norm.weight")!;
    params.set(
      "model.norm.weight",
      float32(
        norm.data.map((x) => x * 1e6),
        norm.dims,
      ),
    );
    const wide = { ...model, params };
    await expect(score({ kind: "hidden", k: 0, temperature: 1 }, inputs, wide)).rejects.toMatchObject({
      code: "OutOfRange",
      message: expect.stringContaining("hiddenDtype float32"),
    });
    await score({ kind: "hidden", k: 0, temperature: 1, hiddenDtype: "float32" }, inputs, wide);
  });

  it("names its head by what it holds", () => {
    const head = float32([1, 2, 3, 4], [2, 2]);
    expect(headDigest(head)).toBe(headDigest(float32([1, 2, 3, 4], [2, 2])));
    expect(headDigest(head)).not.toBe(headDigest(float32([1, 2, 3, 5], [2, 2])));
    expect(headDigest(head)).not.toBe(headDigest({ ...head, softCap: 30 }));
    expect(headDigest(head)).not.toBe(headDigest(float32([1, 2, 3, 4], [4, 1])));
  });
});

describe("the signal random_k", () => {
  it("gives k draws per token, and the entropy", async () => {
    const [all, draws] = [await score(full), await score({ kind: "random_k", k: 25, temperature })];
    draws.forEach((one, i) => {
      const count = one.logprobs!.length;
      const width = one.ids!.length / count;
      for (let n = 0; n < count; n++) {
        expect(one.counts!.subarray(n * width, (n + 1) * width).reduce((a, b) => a + b, 0)).toBe(25);
        const row = [...all[i]!.full!.subarray(n * vocab, (n + 1) * vocab)];
        expect(one.entropy![n]).toBeCloseTo(-row.reduce((sum, x) => sum + Math.exp(x) * x, 0), 4);
      }
    });
  });

  it("draws each class as often as its probability says", async () => {
    const k = 4000;
    const [all] = await score(full, [inputs[1]!]);
    const [one] = await score({ kind: "random_k", k, temperature }, [inputs[1]!]);
    const share = new Float64Array(vocab);
    one!.ids!.forEach((id, i) => {
      share[id]! += one!.counts![i]! / k;
    });
    // Five deviations of a share of k draws.
    share.forEach((x, v) => {
      const p = Math.exp(all!.full![v]!);
      expect(Math.abs(x - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / k) + 1e-3);
    });
    expect(largestClasses([...share], vocab, 1)).toEqual(largestClasses([...all!.full!], vocab, 1));
  });

  it("is a function of the text: the same however it is batched, another for another text", async () => {
    const signal = { kind: "random_k", k: 25, temperature } as const;
    const [together, apart] = [await score(signal), await score(signal, inputs, model, 1)];
    together.forEach((one, i) => {
      expect(one.counts).toEqual(apart[i]!.counts);
      expect(one.ids).toEqual(apart[i]!.ids);
    });
    const other = { ...inputs[1]!, completionIds: Int32Array.of(71) };
    const [changed] = await score(signal, [other]);
    expect(changed!.counts).not.toEqual(together[1]!.counts);
  });

  it("refuses more draws than a count can hold", async () => {
    await expect(score({ kind: "random_k", k: 65_536, temperature: 1 })).rejects.toThrow(
      /signal\.k is 65536; random_k needs a whole number from 1 to 65535/,
    );
  });
});
