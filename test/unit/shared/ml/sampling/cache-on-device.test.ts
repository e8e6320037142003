import { generator } from "../../../../../services/shared/base/random.js";
import type { Model } from "../../../../../services/shared/ml/models/model.js";
import type { SampleRequest } from "../../../../../services/shared/ml/sampling/chunk.js";
import { type Completion, Sampler, type SamplerOptions } from "../../../../../services/shared/ml/sampling/sampler.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";
import { smallT5 } from "../../../../support/models/small-t5.js";

const host = { device: "cpu", threads: 1, chunkTokens: 3, maxRows: 5, runtime: "native" } as const;
/** As on a GPU; the CPU provider's memory is this process's too, but none of its arrays. */
const onDevice = { ...host, cacheOnDevice: true };
const params = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 14, stopIds: [3, 17] };

/** More than have room at once, of all lengths, some with the prompt of another, each with tokens of its own to write. */
function requestsOf(vocab: number, count: number, seed: bigint): SampleRequest[] {
  const random = generator(seed);
  const requests: SampleRequest[] = [];
  for (let i = 0; i < count; i++) {
    const other = requests[random() % Math.max(1, requests.length)];
    const fresh = Int32Array.from({ length: 1 + (random() % 12) }, () => 4 + (random() % (vocab - 4)));
    const promptIds = other && random() % 3 === 0 ? other.promptIds : fresh;
    requests.push({ promptIds, seed: BigInt(i), maxNewTokens: 1 + (random() % params.maxNewTokens) });
  }
  return requests;
}

/** What overlapping calls get, and one that comes when all are done. */
async function written({ config, params: weights }: Model, how: SamplerOptions): Promise<Completion[][]> {
  const sampler = new Sampler(config, weights, how);
  const call = (count: number, seed: bigint) => sampler.sample(requestsOf(config.vocabSize, count, seed), params);
  try {
    const together = await Promise.all([call(12, 1n), call(7, 2n), call(1, 3n)]);
    return [...together, await call(6, 4n)];
  } finally {
    await sampler.release();
  }
}

/** The same tokens, and numbers that differ by rounding alone: caches of another length are added up in another order. */
function expectSame(actual: readonly Completion[][], expected: readonly Completion[][]): void {
  const tokens = (calls: readonly Completion[][]) => calls.map((call) => call.map(({ ids, finish }) => [...ids, finish]));
  expect(tokens(actual)).toEqual(tokens(expected));
  for (const name of ["logprobs", "samplingLogprobs"] as const) {
    const numbers = (calls: readonly Completion[][]) => calls.flat().flatMap((completion) => [...completion[name]]);
    expectAllClose(numbers(actual), numbers(expected), { rtol: 1e-5, atol: 1e-5 }, name);
  }
}

describe("a sampler whose caches stay on the device", () => {
  it.each([
    ["llama", smallModel()],
    ["windows", smallModel(smallConfigs.mistral)],
    ["an encoder-decoder", smallT5()],
  ] as const)("writes what one writes whose caches are arrays of this process: %s", async (_, model) => {
    expectSame(await written(model, onDevice), await written(model, host));
  });

  it("writes the same beside weights that stay there, whatever the length of a run and the number of rows", async () => {
    const model = smallModel();
    const expected = await written(model, { ...host, runtime: "stock" });
    for (const [chunkTokens, maxRows] of [
      [1, 4],
      [6, 20],
    ] as const)
      expectSame(await written(model, { ...onDevice, weightsOnDevice: true, chunkTokens, maxRows }), expected);
  });

  it("is refused with the runtime stock, which can't keep them there", async () => {
    await expect(written(smallModel(), { ...onDevice, runtime: "stock" })).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringContaining("RETORT_RUNTIME=native"),
    });
  });
});
