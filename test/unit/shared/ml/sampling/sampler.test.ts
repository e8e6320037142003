import { generator } from "../../../../../services/shared/base/random.js";
import type { Model } from "../../../../../services/shared/ml/models/model.js";
import type { Piece, SampleRequest } from "../../../../../services/shared/ml/sampling/chunk.js";
import { negatedUniform } from "../../../../../services/shared/ml/sampling/draw.js";
import type { SamplingParams } from "../../../../../services/shared/ml/sampling/params.js";
import { type Completion, Sampler } from "../../../../../services/shared/ml/sampling/sampler.js";
import { Scorer } from "../../../../../services/shared/ml/scoring/scorer.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";

const model = smallModel();
const options = { device: "cpu", threads: 1, chunkTokens: 64, maxRows: 64 } as const;
const params: SamplingParams = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 20, stopIds: [] };

/** Prompts of different lengths, each with its own seed. */
const requests: SampleRequest[] = [5, 1, 9, 3, 12, 7].map((length, i) => ({
  promptIds: Int32Array.from({ length }, (_, j) => 3 + ((i * 37 + j * 11) % 140)),
  seed: BigInt(100 + i),
}));

async function sample(
  settings: Partial<SamplingParams> = {},
  host: {
    model?: Model;
    requests?: SampleRequest[];
    chunkTokens?: number;
    maxRows?: number;
    weightsAsInputs?: boolean;
    unsampled?: Int32Array;
  } = {},
): Promise<Completion[]> {
  const { config, params: weights } = host.model ?? model;
  const sampler = new Sampler(config, weights, { ...options, ...host });
  try {
    return await sampler.sample(host.requests ?? requests, { ...params, ...settings });
  } finally {
    await sampler.release();
  }
}

const tokensOf = (completions: readonly Completion[]) => completions.map(({ ids }) => [...ids]);

/** Largest difference between the sampler's and the scorer's log-probability of a token. */
async function mismatch({ config, params: weights }: Model, from: readonly SampleRequest[], completions: readonly Completion[]) {
  const scorer = new Scorer(config, weights, { device: "cpu", threads: 1, batchTokens: 4096 });
  const inputs = completions.map(({ ids }, i) => ({ promptIds: from[i]!.promptIds, completionIds: ids }));
  const scores = await scorer.score(inputs, { kind: "full", k: 0, temperature: 1 });
  await scorer.release();
  const differences = completions.flatMap(({ logprobs }, i) => Array.from(logprobs, (x, n) => Math.abs(x - scores[i]!.logprobs![n]!)));
  return { worst: Math.max(...differences), scores };
}

describe("Sampler.sample()", () => {
  for (const [name, config] of Object.entries(smallConfigs)) {
    it(`gives the log-probabilities of an uncached forward: ${name}`, async () => {
      const other = smallModel(config);
      for (const temperature of [1, 0]) {
        const completions = await sample({ temperature }, { model: other, chunkTokens: 6 });
        expect((await mismatch(other, requests, completions)).worst).toBeLessThan(1e-4);
      }
    });
  }

  it("draws the tokens that a plain sampler draws from the uncached distributions and the same numbers", async () => {
    const wide = smallModel(smallConfigs.llama, 9n, 120);
    const from = requests.map((request) => ({ ...request, promptIds: request.promptIds.map((id) => id % 120) }));
    const completions = await sample({}, { model: wide, requests: from });
    const { scores } = await mismatch(wide, from, completions);
    completions.forEach(({ ids }, i) => {
      const next = generator(from[i]!.seed);
      ids.forEach((id, n) => {
        next();
        const target = -negatedUniform(next());
        const row = scores[i]!.full!.subarray(n * 120, (n + 1) * 120);
        let before = 0;
        for (let v = 0; v < id; v++) before += Math.exp(row[v]!);
        // The number falls into the drawn token's stretch of the running sum, up to rounding.
        expect(target).toBeGreaterThan(before - 1e-5);
        expect(target).toBeLessThan(before + Math.exp(row[id]!) + 1e-5);
      });
    });
  });

  it("greedy takes the likeliest token at each place of the uncached distributions", async () => {
    const completions = await sample({ temperature: 0 }, { chunkTokens: 5 });
    const { scores } = await mismatch(model, requests, completions);
    const likeliest = scores.map(({ full }, i) =>
      Array.from(completions[i]!.ids, (_, n) => {
        const row = full!.subarray(n * 150, (n + 1) * 150);
        return row.indexOf(row.reduce((a, b) => Math.max(a, b)));
      }),
    );
    expect(tokensOf(completions)).toEqual(likeliest);
  });

  it.each([{ chunkTokens: 1 }, { chunkTokens: 2 }, { chunkTokens: 7 }, { chunkTokens: 19 }, { maxRows: 2 }, { weightsAsInputs: false }])(
    "gives the same tokens with %j",
    async (host) => {
      expect(tokensOf(await sample({ stopIds: [20, 21, 22] }, host))).toEqual(tokensOf(await sample({ stopIds: [20, 21, 22] })));
    },
  );

  it("gives a row the same tokens alone, among others and in another order", async () => {
    const together = tokensOf(await sample());
    const alone = await Promise.all(requests.map(async (request) => tokensOf(await sample({}, { requests: [request] }))[0]));
    expect(alone).toEqual(together);
    expect(tokensOf(await sample({}, { requests: [...requests].reverse() })).reverse()).toEqual(together);
  });

  it("repeats itself bit for bit, and differs for another seed", async () => {
    expect(await sample()).toEqual(await sample());
    const other = requests.map((request) => ({ ...request, seed: request.seed + 1n }));
    expect(tokensOf(await sample({}, { requests: other }))).not.toEqual(tokensOf(await sample()));
  });

  it("cuts a completion behind its stop token and changes nothing before", async () => {
    const whole = tokensOf(await sample());
    const stopIds = [whole[0]![4]!, whole[3]![0]!];
    const cut = whole.map((ids) => {
      const at = ids.findIndex((id) => stopIds.includes(id));
      return at < 0 ? ids : ids.slice(0, at + 1);
    });
    for (const chunkTokens of [3, 64]) {
      const completions = await sample({ stopIds }, { chunkTokens });
      expect(tokensOf(completions)).toEqual(cut);
      expect(completions.map(({ finish }) => finish)).toEqual(
        cut.map((ids) => (ids.length < 20 || stopIds.includes(ids[19]!) ? "stop" : "length")),
      );
      for (const { ids, logprobs, samplingLogprobs } of completions) {
        expect([logprobs.length, samplingLogprobs.length]).toEqual([ids.length, ids.length]);
      }
    }
  });

  it("ends at once when the first token is a stop token", async () => {
    const completions = await sample({ stopIds: Array.from({ length: 150 }, (_, id) => id) }, { chunkTokens: 4 });
    expect(completions.map(({ ids, finish }) => [ids.length, finish])).toEqual(requests.map(() => [1, "stop"]));
  });

  it("gives out every token once in pieces", async () => {
    const written = requests.map(() => [] as number[]);
    const onChunk = (pieces: readonly Piece[]) => {
      for (const { index, ids } of pieces) written[index]!.push(...ids);
    };
    const sampler = new Sampler(model.config, model.params, { ...options, chunkTokens: 6 });
    const completions = await sampler.sample(requests, { ...params, stopIds: [20, 30] }, onChunk);
    await sampler.release();
    expect(written).toEqual(tokensOf(completions));
  });

  it.each([{}, { maxRows: 2 }, { maxRows: 3, chunkTokens: 3 }, { maxRows: 4, weightsAsInputs: false }])(
    "gives each of several samples of a prompt what it gets alone, with %j",
    async (host) => {
      const many = requests.slice(0, 4).flatMap((request) => [0n, 1n, 2n].map((n) => ({ ...request, seed: request.seed * 10n + n })));
      const alone = await Promise.all(many.map(async (one) => tokensOf(await sample({ stopIds: [20, 21, 22] }, { requests: [one] }))[0]));
      const completions = await sample({ stopIds: [20, 21, 22] }, { requests: many, ...host });
      expect(tokensOf(completions)).toEqual(alone);
      expect((await mismatch(model, many, completions)).worst).toBeLessThan(1e-4);
    },
  );

  it("refuses what cannot be completed before any work", async () => {
    const one = (promptIds: number[]) => ({ requests: [{ promptIds: Int32Array.from(promptIds), seed: 1n }] });
    await expect(sample({}, one([]))).rejects.toThrow("prompt 0: it has no tokens");
    await expect(sample({ maxNewTokens: 95 }, one([3, 4]))).rejects.toThrow("exceed the model's 96 positions");
    await expect(sample({}, one([3, 150]))).rejects.toThrow("token id 150 is outside the vocabulary of 150");
  });
});

describe("ids that are never drawn", () => {
  // Half of the vocabulary, every other id.
  const unsampled = Int32Array.from({ length: 75 }, (_, i) => 2 * i);

  it.each([
    ["greedy", { temperature: 0 }],
    ["at temperature 1", {}],
    ["at another temperature", { temperature: 2 }],
    ["among the likeliest few", { topK: 3 }],
    ["within a mass", { topP: 0.5 }],
  ] as const)("are left out %s, and the others keep the model's log-probability", async (_, settings) => {
    for (const weightsAsInputs of [true, false]) {
      const completions = await sample(settings, { unsampled, weightsAsInputs });
      for (const { ids } of completions) expect(ids.every((id) => id % 2 === 1)).toBe(true);
      expect((await mismatch(model, requests, completions)).worst).toBeLessThan(2e-5);
    }
  });

  it("change nothing where there are none", async () => {
    expect(tokensOf(await sample({}, { unsampled: new Int32Array() }))).toEqual(tokensOf(await sample()));
  });
});

describe("calls of Sampler.sample() that overlap", () => {
  it("give each what it would get alone, with the same settings or others, in places that others leave", async () => {
    const sampler = new Sampler(model.config, model.params, { ...options, chunkTokens: 5, maxRows: 3 });
    const settings = [{}, { temperature: 0 }, {}, { topK: 3 }, { maxNewTokens: 4 }, { stopIds: [20, 21, 22] }].map((own) => ({
      ...params,
      ...own,
    }));
    const together = await Promise.all(settings.map((own) => sampler.sample(requests, own)));
    await sampler.release();
    for (const [i, own] of settings.entries()) expect(tokensOf(together[i]!)).toEqual(tokensOf(await sample(own)));
  });
});

describe("Sampler.setWeights()", () => {
  it.each([true, false])("makes it the sampler of the other weights (as inputs: %s)", async (weightsAsInputs) => {
    const other = smallModel(smallConfigs.llama, 8n);
    const sampler = new Sampler(model.config, model.params, { ...options, weightsAsInputs });
    await sampler.sample(requests, params);
    await sampler.setWeights(other.params);
    const changed = await sampler.sample(requests, params);
    await sampler.release();
    expect(tokensOf(changed)).toEqual(tokensOf(await sample({}, { model: other })));
  });
});
