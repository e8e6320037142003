/** Counts the driver's calls of a train step, a score and a decoded token, and prints them as JSON. To be run by main.ts. */
import { float32, sizeOf } from "../../services/shared/ml/graph/tensor.js";
import { loraOf } from "../../services/shared/ml/models/adapter/layers.js";
import { lowRank } from "../../services/shared/ml/models/adapter/low-rank.js";
import { allLinear } from "../../services/shared/ml/models/lora.js";
import type { Trainable } from "../../services/shared/ml/models/trainable.js";
import { loadCuda } from "../../services/shared/ml/runtime/cuda/libraries.js";
import { Sampler } from "../../services/shared/ml/sampling/sampler.js";
import { Scorer } from "../../services/shared/ml/scoring/scorer.js";
import { Trainer } from "../../services/shared/ml/training/trainer.js";
import { goldenTrain, trainSetup } from "../support/models/golden-train.js";
import { type Counts, combined, counted } from "./counters.js";

const { config, weights, batch, options } = trainSetup(goldenTrain.tied);
const onCuda = { ...options, device: "cuda" as const };

/** A step as later ones are: what the first ones set up stays. */
async function trainStep(microBatchTokens: number, from = weights, trainable?: Trainable): Promise<Counts> {
  const trainer = new Trainer(config, from, { ...onCuda, microBatchTokens }, undefined, trainable);
  for (let step = 0; step < 2; step++) await trainer.step(batch, 1e-3);
  const counts = await counted(() => trainer.step(batch, 1e-3));
  await trainer.release();
  return counts;
}

/** A step that trains an adapter on all linear layers; its base is in memory. */
async function adapterStep(): Promise<Counts> {
  const trainable = lowRank(config, loraOf(config, { r: 2, alpha: 4, useRslora: false, targetModules: [allLinear] }));
  const factors = trainable.specs.map(({ name, dims }) => [name, float32(new Float32Array(sizeOf(dims)), dims)] as const);
  return trainStep(1000, new Map([...weights, ...factors]), trainable);
}

async function score(): Promise<Counts> {
  const scorer = new Scorer(config, weights, { ...onCuda, batchTokens: 1000 });
  const work = () => scorer.score(batch, { kind: "top_k", k: 4, temperature: 1 });
  await work();
  const counts = await counted(work);
  await scorer.release();
  return counts;
}

/**
 * A call that writes some tokens for all rows at once, and one of these tokens, in the middle of a run: beside its tokens a call has
 * prompts, and weights that do not stay on the device.
 */
async function decoding(): Promise<Record<"decoded token" | "call of the sampler, 4 tokens", Counts>> {
  const sampler = new Sampler(config, weights, { ...onCuda, chunkTokens: 64, maxRows: 8 });
  const write = (maxNewTokens: number) =>
    sampler.sample(
      batch.map(({ promptIds }, row) => ({ promptIds, seed: BigInt(row) })),
      { temperature: 1, topK: 0, topP: 1, maxNewTokens, stopIds: [] },
    );
  const [few, many] = [4, 12];
  await write(many);
  const [short, long] = [await counted(() => write(few)), await counted(() => write(many))];
  await sampler.release();
  return { "call of the sampler, 4 tokens": short, "decoded token": combined(long, short, (a, b) => (a - b) / (many - few)) };
}

await loadCuda();
const works = {
  "train step, one micro-batch": await trainStep(1000),
  "train step, three micro-batches": await trainStep(1),
  "train step of an adapter": await adapterStep(),
  score: await score(),
  ...(await decoding()),
};
const parameters = [...weights.values()].reduce((sum, { data }) => sum + data.length, 0);
console.log(JSON.stringify({ works, layers: config.layers, tensors: weights.size, parameters }));
