import type { Model } from "../../../../../services/shared/ml/models/model.js";
import type { SampleRequest } from "../../../../../services/shared/ml/sampling/chunk.js";
import type { SamplingParams } from "../../../../../services/shared/ml/sampling/params.js";
import { type Completion, Sampler } from "../../../../../services/shared/ml/sampling/sampler.js";
import { Scorer } from "../../../../../services/shared/ml/scoring/scorer.js";
import { smallT5, t5Configs } from "../../../../support/models/small-t5.js";

const options = { device: "cpu", threads: 1, chunkTokens: 64, maxRows: 64 } as const;
const params: SamplingParams = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 30, stopIds: [] };

/** Prompts of different lengths, one of them three times, each row with its own seed. */
const requests: SampleRequest[] = [5, 1, 9, 40, 12, 9, 9].map((length, i) => ({
  promptIds: Int32Array.from({ length }, (_, j) => 3 + ((length * 37 + j * 11) % 140)),
  seed: BigInt(100 + i),
}));

async function sample(
  { config, params: weights }: Model,
  settings: Partial<SamplingParams> = {},
  host: { requests?: readonly SampleRequest[]; chunkTokens?: number; maxRows?: number; weightsAsInputs?: boolean } = {},
): Promise<Completion[]> {
  const sampler = new Sampler(config, weights, { ...options, ...host });
  try {
    return await sampler.sample(host.requests ?? requests, { ...params, ...settings });
  } finally {
    await sampler.release();
  }
}

const tokensOf = (completions: readonly Completion[]) => completions.map(({ ids }) => [...ids]);

/** Largest difference between the sampler's and the scorer's log-probability of a token. */
async function mismatch({ config, params: weights }: Model, completions: readonly Completion[]): Promise<number> {
  const scorer = new Scorer(config, weights, { device: "cpu", threads: 1, batchTokens: 120 });
  const inputs = completions.map(({ ids }, i) => ({ promptIds: requests[i]!.promptIds, completionIds: ids }));
  const scores = await scorer.score(inputs, { kind: "sampled", k: 0, temperature: 1 });
  await scorer.release();
  return Math.max(...completions.flatMap(({ logprobs }, i) => Array.from(logprobs, (x, n) => Math.abs(x - scores[i]!.logprobs![n]!))));
}

describe.each(Object.entries(t5Configs))("the sampler of an encoder-decoder: %s", (_, config) => {
  const model = smallT5(config);

  it.each([{ chunkTokens: 1 }, { chunkTokens: 7 }, { chunkTokens: 64 }, { weightsAsInputs: false, chunkTokens: 11 }])(
    "gives the log-probabilities of an uncached forward, with %j",
    async (host) => {
      for (const temperature of [1, 0]) {
        const completions = await sample(model, { temperature }, host);
        expect(completions.map(({ ids }) => ids.length)).toEqual(requests.map(() => 30));
        expect(await mismatch(model, completions)).toBeLessThan(1e-4);
      }
    },
  );

  it("gives a row the same tokens alone, among others, in another order, in chunks and while others leave", async () => {
    const together = tokensOf(await sample(model));
    const alone = await Promise.all(requests.map(async (request) => tokensOf(await sample(model, {}, { requests: [request] }))[0]));
    expect(alone).toEqual(together);
    expect(tokensOf(await sample(model, {}, { requests: [...requests].reverse() })).reverse()).toEqual(together);
    const stopIds = together.map((ids, i) => ids[3 * i]!);
    const cut = together.map((ids) => {
      const at = ids.findIndex((id) => stopIds.includes(id));
      return at < 0 ? ids : ids.slice(0, at + 1);
    });
    expect(new Set(cut.map(({ length }) => length)).size).toBeGreaterThan(3);
    for (const host of [{ chunkTokens: 2 }, { chunkTokens: 64 }, { chunkTokens: 5, maxRows: 3 }])
      expect(tokensOf(await sample(model, { stopIds }, host))).toEqual(cut);
  });

  it("tells samples of one prompt apart by their seeds alone", async () => {
    const [a, b, c] = tokensOf(await sample(model)).filter((_, i) => requests[i]!.promptIds.length === 9);
    expect([a, b, c].map(String)).toEqual([...new Set([a, b, c].map(String))]);
    const greedy = tokensOf(await sample(model, { temperature: 0 })).filter((_, i) => requests[i]!.promptIds.length === 9);
    expect(new Set(greedy.map(String)).size).toBe(1);
  });
});

describe("Sampler.setWeights()", () => {
  it.each([true, false])("makes it the sampler of the other weights, encoder and all (as inputs: %s)", async (weightsAsInputs) => {
    const [model, other] = [smallT5(), smallT5(t5Configs["t5, as first published"], 8n)];
    const sampler = new Sampler(model.config, model.params, { ...options, weightsAsInputs });
    await sampler.sample(requests, params);
    await sampler.setWeights(other.params);
    const changed = await sampler.sample(requests, params);
    await sampler.release();
    expect(tokensOf(changed)).toEqual(tokensOf(await sample(other)));
  });
});
