import { halfOnCpu } from "../../services/shared/ml/graph/half-on-cpu.js";
import { float32, type Tensor } from "../../services/shared/ml/graph/tensor.js";
import { inputsOf } from "../../services/shared/ml/models/architectures/table.js";
import { fusedObstacle } from "../../services/shared/ml/models/fused-states.js";
import type { Model } from "../../services/shared/ml/models/model.js";
import { weightsAt } from "../../services/shared/ml/models/precision/dtype.js";
import { wholeModel } from "../../services/shared/ml/models/trainable.js";
import { learningRate } from "../../services/shared/ml/optim/schedule.js";
import { floatsOf } from "../../services/shared/ml/runtime/outputs.js";
import { type Device, type Feeds, type Runtime, Session } from "../../services/shared/ml/runtime/session.js";
import { Scorer } from "../../services/shared/ml/scoring/scorer.js";
import { microBatch, type TrainSequence } from "../../services/shared/ml/training/batch.js";
import { gradientsGraph } from "../../services/shared/ml/training/step-graph.js";
import { Trainer } from "../../services/shared/ml/training/trainer.js";
import { plainObjective } from "../support/loss/loss.js";
import { goldenTrain, trainSetup } from "../support/models/golden-train.js";
import { calm, smallConfigs, smallModel } from "../support/models/small-model.js";
import { smallT5, t5Configs } from "../support/models/small-t5.js";

/** How far a device is from the CPU in one kind of number. */
export interface Difference {
  readonly what: string;
  /** The largest, and where it is. */
  readonly worst: number;
  readonly where: string;
  readonly allowed: number;
}

/** Where and by what something is computed. */
interface Place {
  readonly device: Device;
  readonly runtime: Runtime;
}

/** The binding leaves products of float32 on CUDA to TF32, whose mantissa has ten bits. */
const allowedOf = { native: 1e-3, stock: 5e-2 } as const satisfies Record<Runtime, number>;

const reference = (runtime: Runtime): Place => ({ device: "cpu", runtime });

const sequences: readonly TrainSequence[] = [
  { promptIds: Int32Array.of(5, 9, 11), completionIds: Int32Array.of(7, 30, 12, 2) },
  { promptIds: Int32Array.of(20, 4), completionIds: Int32Array.of(8, 41, 2) },
];

/** Every family of models but those of experts, which a GPU doesn't run. */
const families = (): (readonly [string, Model])[] =>
  [
    ...Object.entries(smallConfigs).map(([name, config]) => [name, smallModel(config)] as const),
    ...Object.entries(t5Configs).map(([name, config]) => [name, smallT5(config)] as const),
  ].filter(([, { config }]) => !config.experts);

type Half = "bfloat16" | "float16";

/** @param dtype what weights are held in, and layers computed in; default float32 */
async function logprobs({ config, params }: Model, place: Place, dtype?: Half): Promise<Float32Array> {
  const held = dtype && weightsAt(config, params, dtype);
  const scorer = new Scorer(config, held?.weights ?? params, { ...place, threads: 1, batchTokens: 1000, fused: dtype ?? false });
  const scores = await scorer.score(sequences, { kind: "full", k: 0, temperature: 1 });
  await scorer.release();
  held?.close();
  return Float32Array.from(scores.flatMap(({ full }) => [...(full ?? [])]));
}

/** Gradients, those of products in float16 times {@link lossScale}. */
async function gradients({ config, params }: Model, place: Place, computeDtype?: Half): Promise<Feeds> {
  const objective = { ...plainObjective, divergence: "cross_entropy" as const };
  const layout = { inputs: inputsOf(config), padId: 0, vocab: config.vocabSize, objective, blockRows: 0 };
  const graph = gradientsGraph({ config, trainable: wholeModel(config), objective, blocks: false, computeDtype });
  const session = await Session.create(place.device === "cpu" ? halfOnCpu(graph) : graph, { ...place, threads: 1 });
  const scaled: Feeds = computeDtype === "float16" ? { lossScale: float32([lossScale], []) } : {};
  const outputs = await session.run({ ...microBatch(sequences, [0, 1], layout).feeds, ...Object.fromEntries(params), ...scaled });
  await session.release();
  return outputs;
}

/** Losses, norms and weights of the ten steps that PyTorch's are compared with, too. */
async function tenSteps(
  place: Place,
): Promise<{ readonly figures: Float32Array; readonly weights: ReadonlyMap<string, Tensor<"float32">> }> {
  const { config, weights, batch, options } = trainSetup(goldenTrain.tied);
  const trainer = new Trainer(config, weights, { ...options, ...place, microBatchTokens: 18 });
  const figures: number[] = [];
  for (let step = 1; step <= 10; step++) {
    const { loss, gradientNorm } = await trainer.step(batch, learningRate(goldenTrain.schedule, step));
    figures.push(loss, gradientNorm);
  }
  await trainer.fetch();
  const trained = trainer.params();
  await trainer.release();
  return { figures: Float32Array.from(figures), weights: trained };
}

/** The largest |a − b|, as a share of the largest |b| if that is asked for; what is not a number is infinitely far. */
function distance(a: Float32Array, b: Float32Array, relative: boolean): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  const scale = relative ? b.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-6) : 1;
  const far = a.reduce((most, x, i) => Math.max(most, Number.isNaN(x) ? Number.POSITIVE_INFINITY : Math.abs(x - b[i]!)), 0);
  return far / scale;
}

const lossScale = 1024;

/** Mean over tokens of the KL from what the CPU's float32 says, in nats. */
function meanKl(exact: Float32Array, used: Float32Array, vocab: number): number {
  return exact.reduce((sum, logp, i) => sum + Math.exp(logp) * (logp - used[i]!), 0) / (exact.length / vocab);
}

/** ‖a/scale − b‖ / ‖b‖ over all gradients. */
function gradientDistance(a: Feeds, b: Feeds, scale: number): number {
  let [apart, all] = [0, 0];
  for (const output of Object.keys(b).filter((key) => key.startsWith("next:g:")))
    for (const [i, x] of floatsOf(b, output).entries()) {
      apart += (floatsOf(a, output)[i]! / scale - x) ** 2;
      all += x ** 2;
    }
  return Math.sqrt(apart / all);
}

/** What rounding may cost, as the CPU shows with the same rounding: of scores in nats, of gradients as a share. */
const halves = { float16: { scores: 2e-4, gradients: 0.02 }, bfloat16: { scores: 1e-2, gradients: 0.12 } } as const;

/** How far half precision on a device is from float32 on the CPU. */
async function halfParity(place: Place, dtype: Half): Promise<Difference[]> {
  const [scored, derived] = [new Worst(), new Worst()];
  const onCpu = reference(place.runtime);
  for (const [name, model] of families()) {
    const { vocabSize } = model.config;
    if (!fusedObstacle(model.config))
      scored.add(meanKl(await logprobs(model, onCpu), await logprobs(model, place, dtype), vocabSize), name);
    const calmed = calm(model);
    const [found, expected] = [await gradients(calmed, place, dtype), await gradients(calmed, onCpu)];
    derived.add(gradientDistance(found, expected, dtype === "float16" ? lossScale : 1), name);
  }
  return [
    scored.as(`scores computed in ${dtype}, mean KL from float32 in nats`, halves[dtype].scores),
    derived.as(`gradients of products in ${dtype}, as a share`, halves[dtype].gradients),
  ];
}

class Worst {
  #worst = 0;
  #where = "nowhere";

  add(difference: number, where: string): void {
    if (difference > this.#worst || Number.isNaN(difference)) [this.#worst, this.#where] = [difference, where];
  }

  as(what: string, allowed: number): Difference {
    return { what, worst: this.#worst, where: this.#where, allowed };
  }
}

/** How far log-probabilities, gradients and ten optimiser steps on a device are from those of the CPU. */
export async function parity(place: Place): Promise<Difference[]> {
  const [scored, derived, steps, weights] = [new Worst(), new Worst(), new Worst(), new Worst()];
  const allowed = allowedOf[place.runtime];
  const onCpu = reference(place.runtime);
  for (const [name, model] of families()) {
    scored.add(distance(await logprobs(model, place), await logprobs(model, onCpu), false), name);
    const [found, expected] = [await gradients(model, place), await gradients(model, onCpu)];
    for (const output of Object.keys(expected).filter((key) => key.startsWith("next:g:")))
      derived.add(distance(floatsOf(found, output), floatsOf(expected, output), true), `${name}: ${output.slice("next:g:".length)}`);
  }
  const [found, expected] = [await tenSteps(place), await tenSteps(onCpu)];
  steps.add(distance(found.figures, expected.figures, true), "the golden llama");
  for (const [name, { data, dims }] of expected.weights)
    weights.add(distance((found.weights.get(name) ?? float32([], dims)).data, data, true), name);
  return [
    scored.as(`log-probabilities of ${families().length} families, in nats`, allowed),
    derived.as("their gradients, of the largest", allowed),
    steps.as("losses and norms of ten AdamW steps, of the largest", allowed),
    // What hardly has a gradient moves by its sign.
    weights.as("the weights after these, of the largest", 10 * allowed),
    ...(await halfParity(place, "float16")),
    ...(await halfParity(place, "bfloat16")),
  ];
}
