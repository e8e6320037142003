import { normals } from "../../../../../../services/shared/base/random.js";
import { float32 } from "../../../../../../services/shared/ml/graph/tensor.js";
import {
  factorSpecs,
  initialFactors,
  layersOf,
  linearLayers,
  loraOf,
  targetProblems,
} from "../../../../../../services/shared/ml/models/adapter/layers.js";
import { lowRank, mergedModel } from "../../../../../../services/shared/ml/models/adapter/low-rank.js";
import { type Adapter, allLinear, factorNames, type Lora, loraScale } from "../../../../../../services/shared/ml/models/lora.js";
import type { Model } from "../../../../../../services/shared/ml/models/model.js";
import { elementsOf, type Weights, weightOf } from "../../../../../../services/shared/ml/models/param-spec.js";
import { Session } from "../../../../../../services/shared/ml/runtime/session.js";
import type { SampleRequest } from "../../../../../../services/shared/ml/sampling/chunk.js";
import { Sampler } from "../../../../../../services/shared/ml/sampling/sampler.js";
import { Scorer } from "../../../../../../services/shared/ml/scoring/scorer.js";
import { Trainer } from "../../../../../../services/shared/ml/training/trainer.js";
import { plainObjective } from "../../../../../support/loss/loss.js";
import { smallConfigs, smallModel } from "../../../../../support/models/small-model.js";
import { smallT5, t5Configs } from "../../../../../support/models/small-t5.js";

const models = [
  ...Object.entries(smallConfigs).map(([name, config]) => [name, () => smallModel(config)] as const),
  ...Object.entries(t5Configs).map(([name, config]) => [name, () => smallT5(config)] as const),
];

const settings = { r: 3, alpha: 6, useRslora: false };

/** An adapter whose every number is random, so that none can be left out unseen. */
function randomAdapter({ config }: Pick<Model, "config">, targetModules: readonly string[] = [allLinear], seed = 1n): Adapter {
  const lora = loraOf(config, { ...settings, targetModules });
  const factors = factorSpecs(config, lora).map(
    (spec, i) => [spec.name, float32(normals(seed * 1000n + BigInt(i), elementsOf([spec]), 0.2), spec.dims)] as const,
  );
  return { lora, factors: new Map(factors), base: "base" };
}

const requests: SampleRequest[] = [5, 1, 9, 3].map((length, i) => ({
  promptIds: Int32Array.from({ length }, (_, j) => 3 + ((i * 37 + j * 11) % 140)),
  seed: BigInt(100 + i),
}));
const sampling = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 12, stopIds: [] };
const cpu = { device: "cpu", threads: 1 } as const;
const samplerOptions = { ...cpu, chunkTokens: 5, maxRows: 64 };

async function sample(sampler: Sampler) {
  const completions = await sampler.sample(requests, sampling);
  return completions.map(({ ids, logprobs }, i) => ({ promptIds: requests[i]!.promptIds, completionIds: ids, logprobs }));
}

async function scored({ config, params, adapter }: Model, texts: Awaited<ReturnType<typeof sample>>): Promise<Float32Array[]> {
  const scorer = new Scorer(config, params, { ...cpu, batchTokens: 4096 }, adapter);
  const scores = await scorer.score(texts, { kind: "sampled", k: 0, temperature: 1 });
  await scorer.release();
  return scores.map(({ logprobs }) => logprobs!);
}

const worst = (one: readonly Float32Array[], other: readonly Float32Array[]) =>
  Math.max(...one.flatMap((row, i) => Array.from(row, (x, n) => Math.abs(x - other[i]![n]!))));

describe("an adapter on a model", () => {
  it.each(models)("samples, scores and is trained with the same log-probabilities: %s", async (name, small) => {
    const some = [["k_proj", "v_proj", "down_proj"]];
    for (const targets of [[allLinear], ...(name === "llama" ? some : [])]) {
      const model = small();
      const adapted: Model = { ...model, adapter: randomAdapter(model, targets) };
      const { lora, factors } = adapted.adapter!;
      const sampler = new Sampler(model.config, model.params, samplerOptions, adapted.adapter);
      const texts = await sample(sampler);
      await sampler.release();
      const own = texts.map(({ logprobs }) => logprobs);
      expect(worst(own, await scored(adapted, texts))).toBeLessThan(1e-4);
      expect(worst(own, await scored(mergedModel(adapted), texts))).toBeLessThan(1e-4);
      expect(worst(own, await scored(model, texts))).toBeGreaterThan(0.01);
      // The learner's: with the sampler's as the teacher's, the ratio of the two is 1 at every token.
      const objective = { ...plainObjective, divergence: "opd" as const, signal: "sampled" as const };
      const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 };
      const options = { ...cpu, objective, optimizer, microBatchTokens: 1000 };
      const trainer = new Trainer(model.config, new Map([...model.params, ...factors]), options, undefined, lowRank(model.config, lora));
      const batch = texts.map(({ logprobs, ...text }) => ({
        ...text,
        samplerLogprobs: logprobs,
        score: { signal: { kind: "sampled" as const, k: 0, temperature: 1 }, logprobs },
      }));
      const { mismatchKl, gradientNorm } = await trainer.step(batch, 0);
      await trainer.release();
      expect([Math.abs(mismatchKl) < 1e-8, gradientNorm < 1e-3]).toEqual([true, true]);
    }
  });

  it("goes over to other factors with the graphs that it has", async () => {
    const model = smallModel();
    const [one, other] = [randomAdapter(model), randomAdapter(model, [allLinear], 2n)];
    const sampler = new Sampler(model.config, model.params, samplerOptions, one);
    const before = await sample(sampler);
    const { create } = Session;
    let compiled = 0;
    Session.create = (...args) => {
      compiled++;
      return create.apply(Session, args);
    };
    await sampler.setFactors(other.factors);
    const texts = await sample(sampler);
    await sampler.setFactors(one.factors);
    expect(await sample(sampler)).toEqual(before);
    Session.create = create;
    expect(compiled).toBe(0);
    await sampler.release();
    expect(
      worst(
        texts.map(({ logprobs }) => logprobs),
        await scored({ ...model, adapter: other }, texts),
      ),
    ).toBeLessThan(1e-4);
  });

  it("is its base at first: A uniform within 1/√in, B zero, the same from the same seed", async () => {
    const { config, params } = smallModel();
    const lora = loraOf(config, { ...settings, targetModules: [allLinear] });
    const factors = initialFactors(config, lora, 5n);
    for (const layer of lora.layers) {
      const [a, b] = [weightOf(factors, factorNames(layer).a), weightOf(factors, factorNames(layer).b)];
      const bound = 1 / Math.sqrt(a.dims[1]!);
      expect(Math.max(...a.data.map(Math.abs))).toBeLessThanOrEqual(bound);
      expect(Math.max(...a.data.map(Math.abs))).toBeGreaterThan(0.8 * bound);
      // The variance of a uniform distribution.
      const mean = a.data.reduce((sum, x) => sum + x * x, 0) / a.data.length;
      expect(mean / (bound ** 2 / 3)).toBeGreaterThan(0.6);
      expect(mean / (bound ** 2 / 3)).toBeLessThan(1.5);
      expect(b.data.every((x) => x === 0)).toBe(true);
    }
    expect(initialFactors(config, lora, 5n)).toEqual(factors);
    const a = (weights: Weights) => weightOf(weights, factorNames(lora.layers[0]!).a).data;
    expect(a(initialFactors(config, lora, 6n))).not.toEqual(a(factors));
    expect(a(factors).slice(0, 8)).not.toEqual(weightOf(factors, factorNames(lora.layers[1]!).a).data.slice(0, 8));
    const merged = mergedModel({ ...smallModel(), adapter: { lora, factors, base: "" } });
    for (const [name, { data }] of params) expect(merged.params.get(name)!.data).toEqual(data);
  });

  it("is scaled by alpha / r, or by alpha / √r", () => {
    const lora: Lora = { r: 4, alpha: 6, useRslora: false, layers: [] };
    expect([loraScale(lora), loraScale({ ...lora, useRslora: true })]).toEqual([1.5, 3]);
  });
});

describe("the linear layers that targets name", () => {
  const { config } = smallModel();
  const all = [...linearLayers(config).keys()];

  it.each<[string, string[], number]>([
    ["a module's own name in every layer", ["q_proj"], 2],
    ["several", ["q_proj", "mlp.up_proj"], 4],
    ["a whole name", ["model.layers.1.self_attn.k_proj"], 1],
    ["the end of one", ["layers.0.mlp.gate_proj"], 1],
    ["one of which a part is no end behind a dot", ["proj", "0.mlp.gate_proj"], 1],
    ["every linear of the blocks", [allLinear], 14],
  ])("are found by %s", (_, targets, count) => {
    const found = layersOf(config, targets);
    expect(found).toHaveLength(count);
    expect(found).toEqual(all.filter((name) => found.includes(name)));
  });

  it("are neither embedding nor head", () => {
    const { config: untied } = smallModel(smallConfigs["llama, one key per head, own head"]);
    expect([...linearLayers(untied).keys()].every((name) => name.startsWith("model.layers."))).toBe(true);
  });

  it("are missed by a name that says so, with those that there are", () => {
    expect(targetProblems(config, ["q_proj", "query", "lm_head"])).toEqual([
      {
        at: 1,
        description: expect.stringMatching(/^the blocks of a llama have no linear layer "query"; they have q_proj, k_proj, .*down_proj/),
      },
      { at: 2, description: expect.stringContaining('"lm_head"') },
    ]);
    expect(() => loraOf(config, { ...settings, targetModules: ["query"] })).toThrow(/no linear layer "query"/);
  });
});
