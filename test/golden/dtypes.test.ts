import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { openLanguageModel } from "../../services/shared/ml/models/checkpoint/check.js";
import { readStored } from "../../services/shared/ml/models/checkpoint/read.js";
import { placedWeights } from "../../services/shared/ml/models/checkpoint/stored-weights.js";
import type { ModelConfig } from "../../services/shared/ml/models/config/model-config.js";
import { type Constants, unrounded } from "../../services/shared/ml/models/constants.js";
import { fusedObstacle } from "../../services/shared/ml/models/fused-states.js";
import { digestOf } from "../../services/shared/ml/models/model.js";
import { weightsAt } from "../../services/shared/ml/models/precision/dtype.js";
import type { WeightDtype } from "../../services/shared/ml/models/precision/weight-dtypes.js";
import { Sampler } from "../../services/shared/ml/sampling/sampler.js";
import { Scorer, type ScorerOptions } from "../../services/shared/ml/scoring/scorer.js";
import { expectAllClose } from "../support/jest/all-close.js";

const fixtures = join(process.cwd(), "test", "golden", "fixtures");
/** One of each way in which weights are used: tied and apart, fused projections, matrices [in, out], experts, biases, windows, an encoder. */
const directories = [
  ...["arcee-tied", "cohere", "gemma3-tied", "gpt-bigcode", "gpt-neox", "gpt2", "mixtral", "phi3", "stablelm"].map((name) =>
    join("families", name),
  ),
  ...readdirSync(join(fixtures, "t5")).map((name) => join("t5", name)),
].filter((name) => existsSync(join(fixtures, name, "model.safetensors")));

/** Largest mean KL, in nats, of a model at an element type from the same in float32. The models are small and their weights random. */
const bounds: Readonly<Record<Exclude<WeightDtype, "float32">, number>> = { bfloat16: 3e-3, float16: 3e-5, int8: 0.03 };

const options = { device: "cpu", threads: 1, batchTokens: 64 } as const;
const inputs = [0, 1].map((i) => ({ promptIds: Int32Array.of(3, 5 + i), completionIds: Int32Array.of(7, 2 + i, 9, 4, 6) }));

async function scores(config: ModelConfig, weights: Constants, more: Pick<ScorerOptions, "fused" | "packed" | "mostMapped"> = {}) {
  const scorer = new Scorer(config, weights, { ...options, ...more });
  try {
    return await scorer.score(inputs, { kind: "full", k: 1, temperature: 1 });
  } finally {
    await scorer.release();
  }
}

type Scores = Awaited<ReturnType<typeof scores>>;

function meanKl(exact: Scores, used: Scores): number {
  const kl = exact.map(({ full }, i) => full!.reduce((sum, logp, at) => sum + Math.exp(logp) * (logp - used[i]!.full![at]!), 0));
  return kl.reduce((a, b) => a + b, 0) / (inputs.length * 5);
}

describe.each(directories)("the weights of %s, where they lie", (name) => {
  const opened = openLanguageModel(join(fixtures, name));

  it("have the digest that they have in memory", async () => {
    const { tensors } = await opened;
    expect(digestOf(await placedWeights(tensors))).toBe(digestOf(await readStored(tensors)));
  });

  it.each(["float32", "bfloat16", "int8"] as const)("in %s, mapped part by part, give the same scores", async (dtype) => {
    const { config, tensors } = await opened;
    const { weights, close } = weightsAt(config, await placedWeights(tensors), dtype);
    const whole = await scores(config, weights, { packed: false });
    const parts = await scores(config, weights, { packed: false, mostMapped: 2048 });
    for (const [i, { full }] of parts.entries()) expectAllClose(full!, whole[i]!.full!, { rtol: 1e-5, atol: 1e-5 });
    close();
  });

  it("in float32 give the same scores as in memory", async () => {
    const { config, tensors } = await opened;
    const inMemory = await scores(config, await readStored(tensors));
    const mapped = weightsAt(config, await placedWeights(tensors), "float32");
    const used = await scores(config, mapped.weights);
    for (const [i, { full }] of used.entries()) expectAllClose(full!, inMemory[i]!.full!, { rtol: 1e-5, atol: 1e-5 });
    mapped.close();
  });

  it("in float16 and computed in float16, as on a GPU, are off by no more than twice what the weights are", async () => {
    const { config, tensors } = await opened;
    const obstacle = fusedObstacle(config);
    const mapped = weightsAt(config, await placedWeights(tensors), "float16");
    const computed = () => scores(config, mapped.weights, { fused: "float16" });
    if (obstacle) await expect(computed()).rejects.toThrow(obstacle);
    else {
      const kl = meanKl(await scores(config, unrounded(mapped.weights), { packed: false }), await computed());
      expect(kl).toBeLessThan(2 * bounds.float16);
      expect(kl).toBeGreaterThan(-1e-5);
    }
    mapped.close();
  });

  it.each(Object.entries(bounds) as [Exclude<WeightDtype, "float32">, number][])(
    "in %s are off by a KL of at most %d, and sampled as they are scored",
    async (dtype, bound) => {
      const { config, tensors } = await opened;
      const mapped = weightsAt(config, await placedWeights(tensors), dtype);
      const used = await scores(config, mapped.weights);
      const kl = meanKl(await scores(config, unrounded(mapped.weights), { packed: false }), used);
      expect(kl).toBeLessThan(bound);
      expect(kl).toBeGreaterThan(-1e-5);
      const sampler = new Sampler(config, mapped.weights, { ...options, chunkTokens: 2, maxRows: 2, weightsAsInputs: false });
      const sampled = await sampler.sample([{ promptIds: inputs[0]!.promptIds, seed: 3n }], {
        ...{ temperature: 1, topK: 0, topP: 1, maxNewTokens: 4, stopIds: [] },
      });
      await sampler.release();
      const [{ ids, logprobs }] = sampled as [(typeof sampled)[0]];
      const scorer = new Scorer(config, mapped.weights, options);
      const [rescored] = await scorer.score([{ promptIds: inputs[0]!.promptIds, completionIds: ids }], {
        kind: "sampled",
        k: 1,
        temperature: 1,
      });
      await scorer.release();
      mapped.close();
      expectAllClose(logprobs, rescored!.logprobs!, { rtol: 0, atol: dtype === "int8" ? 0.15 : 1e-4 });
    },
  );
});
