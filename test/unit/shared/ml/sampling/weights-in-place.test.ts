import { truncate } from "node:fs/promises";
import { jest } from "@jest/globals";
import type { Constants } from "../../../../../services/shared/ml/models/constants.js";
import type { Model } from "../../../../../services/shared/ml/models/model.js";
import { Session } from "../../../../../services/shared/ml/runtime/session.js";
import { TemporaryWeights } from "../../../../../services/shared/ml/runtime/temporary-weights.js";
import { type Completion, Sampler } from "../../../../../services/shared/ml/sampling/sampler.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";
import { smallT5, t5Configs } from "../../../../support/models/small-t5.js";

const options = { device: "cpu", threads: 2, chunkTokens: 6, maxRows: 4, weightsAsInputs: false } as const;
const params = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 14, stopIds: [] };
const requests = [5, 1, 9].map((length, i) => ({ promptIds: Int32Array.from({ length }, (_, j) => 3 + i * 37 + j), seed: BigInt(i) }));

let file: TemporaryWeights;
beforeEach(() => {
  file = new TemporaryWeights();
});
afterEach(() => {
  file.close();
  jest.restoreAllMocks();
});

/** A model's weights, as they lie in a version's file. */
const stored = ({ params }: Model): Constants => new Map([...params].map(([name, weight]) => [name, file.copy(weight)]));

/** What a sampler writes that is made with these weights. */
async function written({ config }: Model, weights: Constants): Promise<Completion[]> {
  const sampler = new Sampler(config, weights, options);
  try {
    return await sampler.sample(requests, params);
  } finally {
    await sampler.release();
  }
}

const versions = {
  ...Object.fromEntries(Object.entries(smallConfigs).map(([name, config]) => [name, (seed: bigint) => smallModel(config, seed)])),
  // Rows and columns that fill several of the runtime's blocks and panels, and don't fill the last.
  "gpt2, wide": (seed: bigint) => smallModel({ ...smallConfigs.gpt2, hidden_size: 264, n_inner: 520 }, seed),
  "llama, wide": (seed: bigint) => smallModel({ ...smallConfigs.llama, hidden_size: 264, intermediate_size: 520 }, seed),
  ...Object.fromEntries(Object.entries(t5Configs).map(([name, config]) => [name, (seed: bigint) => smallT5(config, seed)])),
};

describe("a sampler whose weights are written over", () => {
  it.each(Object.entries(versions))("writes what one writes that is compiled with them, version after version: %s", async (_, model) => {
    const rewrites = jest.spyOn(Session.prototype, "rewrite");
    const [first, second, third] = [7n, 8n, 9n].map(model) as [Model, Model, Model];
    const sampler = new Sampler(first.config, stored(first), { ...options, rewritable: true });
    const all = [await sampler.sample(requests, params)];
    for (const next of [second, third, first]) {
      await sampler.setWeights(stored(next));
      all.push(await sampler.sample(requests, params));
    }
    await sampler.release();
    // Elsewhere each version is compiled.
    if (process.platform === "linux" && process.arch === "x64") expect(rewrites.mock.calls.length).toBeGreaterThanOrEqual(3);
    expect(all[3]).toEqual(all[0]);
    for (const [i, next] of [first, second, third].entries()) expect(all[i]).toEqual(await written(next, stored(next)));
  });

  it("takes weights from memory too", async () => {
    const [model, other] = [smallModel(), smallModel(smallConfigs.llama, 8n)];
    const sampler = new Sampler(model.config, stored(model), { ...options, rewritable: true });
    await sampler.sample(requests, params);
    await sampler.setWeights(other.params);
    const changed = await sampler.sample(requests, params);
    await sampler.release();
    expect(changed).toEqual(await written(other, stored(other)));
  });

  it("never goes on with half of a version", async () => {
    const [model, other] = [smallModel(), smallModel(smallConfigs.llama, 8n)];
    const before = stored(model);
    const sampler = new Sampler(model.config, before, { ...options, rewritable: true });
    await sampler.sample(requests, params);
    const short = new TemporaryWeights();
    const cutOff: Constants = new Map([...other.params].map(([name, weight]) => [name, short.copy(weight)]));
    await truncate(short.path, 3 * 4096);
    await expect(sampler.setWeights(cutOff)).rejects.toMatchObject({ code: "DataLoss", message: expect.stringContaining(short.path) });
    short.close();
    await sampler.setWeights(before);
    expect(await sampler.sample(requests, params)).toEqual(await written(model, before));
    await sampler.release();
  });
});
