import type { Model } from "../../../../../services/shared/ml/models/model.js";
import { type Completion, Sampler, type SamplerOptions } from "../../../../../services/shared/ml/sampling/sampler.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";
import { smallT5 } from "../../../../support/models/small-t5.js";

const options = { device: "cpu", threads: 1, chunkTokens: 6, maxRows: 4, runtime: "native" } as const;
/** As on a GPU; the CPU provider's memory is this process's too, but none of its arrays. */
const onDevice = { ...options, weightsOnDevice: true };
const params = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 14, stopIds: [] };
const requests = [5, 1, 9].map((length, i) => ({ promptIds: Int32Array.from({ length }, (_, j) => 3 + i * 37 + j), seed: BigInt(i) }));

/** What a sampler writes of each model in turn. */
async function written(how: SamplerOptions, [first, ...others]: readonly [Model, ...Model[]]): Promise<Completion[][]> {
  const sampler = new Sampler(first.config, first.params, how);
  try {
    const all = [await sampler.sample(requests, params)];
    for (const other of others) {
      await sampler.setWeights(other.params);
      all.push(await sampler.sample(requests, params));
    }
    return all;
  } finally {
    await sampler.release();
  }
}

describe("a sampler whose weights are kept on the device", () => {
  it.each([
    ["a decoder", [smallModel(), smallModel(smallConfigs.llama, 8n), smallModel()]],
    ["a decoder with a head of its own", [smallModel(smallConfigs.mistral), smallModel(smallConfigs.mistral, 9n)]],
    ["an encoder-decoder", [smallT5(), smallT5(undefined, 8n)]],
  ] as const)("writes what one writes that is fed them, version after version: %s", async (_, models) => {
    expect(await written(onDevice, models as never)).toEqual(await written(options, models as never));
  });

  it("is refused with the runtime stock, which can't keep them there", async () => {
    await expect(written({ ...onDevice, runtime: "stock" }, [smallModel()])).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringContaining("RETORT_RUNTIME=native"),
    });
  });
});
