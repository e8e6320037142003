import { found } from "../../../../../services/shared/base/found.js";
import { float32, sizeOf } from "../../../../../services/shared/ml/graph/tensor.js";
import { loraOf } from "../../../../../services/shared/ml/models/adapter/layers.js";
import { lowRank } from "../../../../../services/shared/ml/models/adapter/low-rank.js";
import { allLinear } from "../../../../../services/shared/ml/models/lora.js";
import type { Model } from "../../../../../services/shared/ml/models/model.js";
import type { Weights } from "../../../../../services/shared/ml/models/param-spec.js";
import type { SampleRequest } from "../../../../../services/shared/ml/sampling/chunk.js";
import type { SamplingParams } from "../../../../../services/shared/ml/sampling/params.js";
import { type Completion, Sampler, type SamplerOptions } from "../../../../../services/shared/ml/sampling/sampler.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";
import { smallT5 } from "../../../../support/models/small-t5.js";

/** Rows leave in the middle of a burst, and others take their places. */
const usual = { device: "cpu", threads: 1, chunkTokens: 12, maxRows: 4 } as const;
/** As on a GPU, but in float32, so that all numbers can be compared. */
const inBursts = { ...usual, runtime: "native", bursts: "float32" } as const;
const params: SamplingParams = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 16, stopIds: [3, 17] };

/** Prompts of all lengths, some of them the same; each has tokens of its own to write. */
const requests: SampleRequest[] = Array.from({ length: 9 }, (_, i) => ({
  promptIds: Int32Array.from({ length: 1 + ((i * 5) % 13) }, (_, j) => 4 + (((i % 6) * 37 + j * 11) % 140)),
  seed: BigInt(i),
  maxNewTokens: 4 + ((i * 7) % 11),
}));

async function written(
  { config, params: weights }: Model,
  how: SamplerOptions,
  drawn: Partial<SamplingParams> = {},
): Promise<Completion[]> {
  const sampler = new Sampler(config, weights, how);
  try {
    return await sampler.sample(requests, { ...params, ...drawn });
  } finally {
    await sampler.release();
  }
}

/** The same tokens, and numbers that differ by rounding alone. */
function expectSame(actual: readonly Completion[], expected: readonly Completion[]): void {
  const tokens = (all: readonly Completion[]) => all.map(({ ids, finish, topIds = [] }) => [...ids, finish, ...topIds]);
  expect(tokens(actual)).toEqual(tokens(expected));
  for (const name of ["logprobs", "samplingLogprobs"] as const)
    expectAllClose(
      actual.flatMap((completion) => [...completion[name]]),
      expected.flatMap((completion) => [...completion[name]]),
      { rtol: 1e-4, atol: 1e-4 },
      name,
    );
}

/** The traits in which attention differs: what is rotated and by whom, norms, windows, caps, how projections lie. */
const families = {
  cohere2: smallConfigs.cohere2,
  exaone4: smallConfigs.exaone4,
  gemma2: smallConfigs.gemma2,
  "gemma3, rotated by the kernel": { ...smallConfigs.gemma3_text, head_dim: 16 },
  gpt2: smallConfigs.gpt2,
  gpt_neox: smallConfigs.gpt_neox,
  hunyuan: smallConfigs.hunyuan_v1_dense,
  llama: smallConfigs.llama,
  "llama, rotated by the kernel": { ...smallConfigs.llama, head_dim: 16 },
  "llama, all biases, rotated by the kernel": { ...smallConfigs["llama, all biases"], head_dim: 16 },
  "llama, yarn, rotated by the kernel": { ...smallConfigs["llama, yarn"], head_dim: 16 },
  olmo2: smallConfigs.olmo2,
  opt: smallConfigs.opt,
  phi3: smallConfigs.phi3,
  qwen3: smallConfigs.qwen3,
  smollm3: smallConfigs.smollm3,
} as const;

describe("a sampler that writes in bursts", () => {
  it.each(Object.entries(families))("draws what one draws that doesn't: %s", async (_, config) => {
    const model = smallModel(config);
    expectSame(await written(model, inBursts), await written(model, usual));
  });

  it.each([
    ["greedily", { temperature: 0 }],
    ["at a temperature", { temperature: 0.7, topIds: 3 }],
    ["of a few tokens", { topK: 5 }],
    ["of a nucleus, without stop tokens", { temperature: 1.3, topP: 0.8, stopIds: [] }],
  ])("draws alike %s", async (_, drawn) => {
    const model = smallModel();
    expectSame(await written(model, inBursts, drawn), await written(model, usual, drawn));
  });

  it("draws none that it must not", async () => {
    const never = { unsampled: Int32Array.from({ length: 40 }, (_, i) => i * 3) };
    expectSame(await written(smallModel(), { ...inBursts, ...never }), await written(smallModel(), { ...usual, ...never }));
  });

  it.each(["llama", "qwen3", "gemma2"] as const)("costs little in float16: %s", async (name) => {
    // Its logits lie further apart than a trained model's.
    const model = smallModel(smallConfigs[name]);
    const [half, exact] = [await written(model, { ...inBursts, bursts: "float16" }), await written(model, usual)];
    const errors = half.flatMap(({ ids, logprobs }, i) => {
      const other = found(exact[i], "the completion");
      const same = ids.findIndex((id, n) => id !== other.ids[n]);
      return [...logprobs.slice(0, same < 0 ? ids.length : same)].map((logprob, n) => Math.abs(logprob - (other.logprobs[n] as number)));
    });
    expect(errors.length).toBeGreaterThan(30);
    expect(errors.reduce((sum, error) => sum + error, 0) / errors.length).toBeLessThan(0.01);
    expect(Math.max(...errors)).toBeLessThan(0.1);
    // It is float16 that was computed in.
    expect(Math.max(...errors)).toBeGreaterThan(1e-4);
  });

  it("goes over to other weights, whatever the length of a run", async () => {
    const [model, other] = [smallModel(), smallModel(smallConfigs.llama, 8n)];
    const sampler = new Sampler(model.config, model.params, { ...inBursts, chunkTokens: 3, maxRows: 9 });
    for (const next of [other, model]) {
      await sampler.sample(requests, params);
      await sampler.setWeights(next.params);
      expectSame(await sampler.sample(requests, params), await written(next, usual));
    }
    await sampler.release();
  });

  it("has an adapter's factors beside its weights, and goes over to others", async () => {
    const model = smallModel();
    const lora = loraOf(model.config, { r: 2, alpha: 4, useRslora: false, targetModules: [allLinear] });
    const factorsOf = (shift: number): Weights =>
      new Map(
        lowRank(model.config, lora).specs.map(({ name, dims }) => [
          name,
          float32(
            Float32Array.from({ length: sizeOf(dims) }, (_, i) => 0.2 * Math.sin(i * 1.3 + shift + name.length)),
            dims,
          ),
        ]),
      );
    const both = [inBursts, usual].map((how) => new Sampler(model.config, model.params, how, { lora, factors: factorsOf(0) }));
    for (const shift of [1, 2]) {
      const [actual, expected] = await Promise.all(both.map((sampler) => sampler.sample(requests, params)));
      expectSame(actual ?? [], expected ?? []);
      for (const sampler of both) await sampler.setFactors(factorsOf(shift));
    }
    for (const sampler of both) await sampler.release();
  });

  it("is refused by name for models that can't, and with the runtime stock", async () => {
    const refused = (model: Model) => () => new Sampler(model.config, model.params, inBursts);
    expect(refused(smallT5())).toThrow("can't write in bursts: encoder-decoders do not");
    expect(refused(smallModel(smallConfigs.mixtral))).toThrow("models of experts do not");
    expect(refused(smallModel(smallConfigs.cohere))).toThrow("heads have norms of their own");
    expect(refused(smallModel(smallConfigs.seed_oss))).toThrow("heads of 6 do not");
    process.env.RETORT_CUDA_GRAPHS = "yes";
    expect(refused(smallModel())).toThrow('RETORT_CUDA_GRAPHS is "yes"; it must be 0 or 1');
    delete process.env.RETORT_CUDA_GRAPHS;
    await expect(written(smallModel(), { ...inBursts, runtime: "stock" })).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringContaining("RETORT_RUNTIME=native"),
    });
  });
});
