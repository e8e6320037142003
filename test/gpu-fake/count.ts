/** Counts the driver's calls of a train step, a score and a decoded token, and prints them as JSON. To be run by main.ts. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { float32, sizeOf } from "../../services/shared/ml/graph/tensor.js";
import { loraOf } from "../../services/shared/ml/models/adapter/layers.js";
import { lowRank } from "../../services/shared/ml/models/adapter/low-rank.js";
import { allLinear } from "../../services/shared/ml/models/lora.js";
import type { Model } from "../../services/shared/ml/models/model.js";
import { weightsAt } from "../../services/shared/ml/models/precision/dtype.js";
import type { FloatDtype } from "../../services/shared/ml/models/safetensors/widen.js";
import type { Trainable } from "../../services/shared/ml/models/trainable.js";
import { loadCuda } from "../../services/shared/ml/runtime/cuda/libraries.js";
import { keepsOnDevice } from "../../services/shared/ml/runtime/session.js";
import { Sampler, type SamplerOptions } from "../../services/shared/ml/sampling/sampler.js";
import { Scorer, type ScorerOptions } from "../../services/shared/ml/scoring/scorer.js";
import type { ComputeDtype } from "../../services/shared/ml/training/compute-dtype.js";
import { Trainer } from "../../services/shared/ml/training/trainer.js";
import { goldenTrain, trainSetup } from "../support/models/golden-train.js";
import { smallConfigs, smallModel } from "../support/models/small-model.js";
import { type Counts, combined, counted } from "./counters.js";

const { config, weights, batch, options } = trainSetup(goldenTrain.tied);
const onCuda = { ...options, device: "cuda" as const };

/** A step as later ones are: what the first ones set up stays. */
async function trainStep(microBatchTokens: number, from = weights, trainable?: Trainable, computeDtype?: ComputeDtype): Promise<Counts> {
  const trainer = new Trainer(config, from, { ...onCuda, microBatchTokens, computeDtype }, undefined, trainable);
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

/** As deep as a model of half a billion parameters, with heads whose rotation is part of their attention. */
const deep = smallModel({ ...smallConfigs.llama, num_hidden_layers: 24, head_dim: 16 });
const golden = { config, params: weights };

/** @param dtype what the weights are held in, and layers computed in */
async function score(
  { config, params }: Pick<Model, "config" | "params">,
  dtype: FloatDtype,
  how: Partial<ScorerOptions> = {},
): Promise<Counts> {
  const held = weightsAt(config, params, dtype);
  const scorer = new Scorer(config, held.weights, { ...onCuda, batchTokens: 1000, ...how });
  assert.equal(scorer.dtype, dtype);
  const work = () => scorer.score(batch, { kind: "top_k", k: 4, temperature: 1 });
  await work();
  const counts = await counted(work);
  await scorer.release();
  held.close();
  return counts;
}

/**
 * Calls that write so many tokens for all rows at once, and one of the tokens by which they differ: beside its tokens a call has
 * prompts, and weights that do not stay on the device.
 */
async function decoding(
  of: Pick<Model, "config" | "params">,
  how: Partial<SamplerOptions>,
  [few, many]: readonly [number, number],
): Promise<[Counts, token: Counts]> {
  const sampler = new Sampler(of.config, of.params, { ...onCuda, chunkTokens: 64, maxRows: 8, ...how });
  const write = async (maxNewTokens: number) => {
    await sampler.sample(
      batch.map(({ promptIds }, row) => ({ promptIds, seed: BigInt(row) })),
      { temperature: 1, topK: 0, topP: 1, maxNewTokens, stopIds: [] },
    );
    // The sampler comes to rest.
    await setImmediate();
  };
  await write(many);
  const [short, long] = [await counted(() => write(few)), await counted(() => write(many))];
  await sampler.release();
  return [short, combined(long, short, (a, b) => (a - b) / (many - few))];
}

await loadCuda();
const [call, token] = await decoding(golden, {}, [4, 12]);
const works = {
  "train step, one micro-batch": await trainStep(1000),
  "train step, three micro-batches": await trainStep(1),
  "train step of an adapter": await adapterStep(),
  "train step in bfloat16": await trainStep(1000, weights, undefined, "bfloat16"),
  "train step in float16": await trainStep(1000, weights, undefined, "float16"),
  score: await score(golden, "float32"),
  "score, 24 layers": await score(deep, "float32"),
  "score, 24 layers, in float16": await score(deep, "float16"),
  "score, 24 layers, in bfloat16 and blocks": await score(deep, "bfloat16", { blockElements: 4 * deep.config.vocabSize }),
  "call of the sampler, 4 tokens": call,
  "decoded token": token,
  // Each run goes on from what the one before it has read.
  "decoded token, in runs of 4": (await decoding(golden, { chunkTokens: 4 }, [8, 24]))[1],
  "decoded token, 24 layers": (await decoding(deep, {}, [4, 12]))[1],
  ...(keepsOnDevice(onCuda)
    ? {
        "decoded token, 24 layers, in bursts": (await decoding(deep, { bursts: "float16" }, [17, 33]))[1],
        "decoded token, 24 layers, recorded": (await decoding(deep, { bursts: "float16", recorded: true }, [17, 33]))[1],
      }
    : {}),
};
const parameters = [...weights.values()].reduce((sum, { data }) => sum + data.length, 0);
console.log(JSON.stringify({ works, layers: config.layers, tensors: weights.size, parameters }));
