import type { SamplingParams } from "../../../../../services/shared/ml/sampling/params.js";
import { type Completion, Sampler } from "../../../../../services/shared/ml/sampling/sampler.js";
import { Scorer } from "../../../../../services/shared/ml/scoring/scorer.js";
import { smallModel } from "../../../../support/models/small-model.js";

const { config, params: weights } = smallModel();
const requests = [5, 1, 9, 3].map((length, i) => ({
  promptIds: Int32Array.from({ length }, (_, j) => 3 + ((i * 37 + j * 11) % 140)),
  seed: BigInt(100 + i),
}));

async function sample(settings: Partial<SamplingParams>, chunkTokens = 64): Promise<Completion[]> {
  const sampler = new Sampler(config, weights, { device: "cpu", threads: 1, chunkTokens, maxRows: 64 });
  try {
    return await sampler.sample(requests, { temperature: 1, topK: 0, topP: 1, maxNewTokens: 20, stopIds: [], ...settings });
  } finally {
    await sampler.release();
  }
}

describe("Sampler.sample() with topIds", () => {
  it.each([
    ["in one chunk", { topIds: 4 }, 64],
    ["over several chunks, with rows that end early", { topIds: 4, stopIds: [7, 30, 60, 90, 120] }, 3],
    ["at another sampling temperature", { topIds: 4, temperature: 1.5 }, 64],
    ["greedily", { topIds: 4, temperature: 0 }, 64],
    ["truncated to fewer tokens than are reported", { topIds: 4, topK: 2 }, 64],
  ] as const)("reports the student's most probable tokens at each position %s", async (_, settings, chunkTokens) => {
    const completions = await sample(settings as Partial<SamplingParams>, chunkTokens);
    const scorer = new Scorer(config, weights, { device: "cpu", threads: 1, batchTokens: 4096 });
    const inputs = completions.map(({ ids }, i) => ({ promptIds: requests[i]!.promptIds, completionIds: ids }));
    const scores = await scorer.score(inputs, { kind: "top_k", k: 4, temperature: 1 });
    await scorer.release();
    completions.forEach(({ topIds, ids }, i) => {
      expect(topIds).toHaveLength(4 * ids.length);
      expect([...topIds!]).toEqual([...scores[i]!.ids!]);
    });
  });

  it("draws the same tokens as without, and reports none unless it is asked", async () => {
    const [without, asked] = [await sample({}), await sample({ topIds: 150 })];
    expect(asked.map(({ ids }) => [...ids])).toEqual(without.map(({ ids }) => [...ids]));
    for (const { topIds } of without) expect(topIds).toBeUndefined();
  });

  it("refuses more than the vocabulary has", async () => {
    await expect(sample({ topIds: 151 })).rejects.toThrow(/sampling\.topIds is 151; it must be 0 to the vocabulary's 150/);
  });
});
