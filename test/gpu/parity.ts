import { float32, type Tensor } from "../../services/shared/ml/graph/tensor.js";
import { inputsOf } from "../../services/shared/ml/models/architectures/table.js";
import type { Model } from "../../services/shared/ml/models/model.js";
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
import { smallConfigs, smallModel } from "../support/models/small-model.js";
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

async function logprobs({ config, params }: Model, place: Place): Promise<Float32Array> {
  const scorer = new Scorer(config, params, { ...place, threads: 1, batchTokens: 1000 });
  const scores = await scorer.score(sequences, { kind: "full", k: 0, temperature: 1 });
  await scorer.release();
  return Float32Array.from(scores.flatMap(({ full }) => [...(full ?? [])]));
}

async function gradients({ config, params }: Model, place: Place): Promise<Feeds> {
  const objective = { ...plainObjective, divergence: "cross_entropy" as const };
  const layout = { inputs: inputsOf(config), padId: 0, vocab: config.vocabSize, objective, blockRows: 0 };
  const graph = gradientsGraph({ config, trainable: wholeModel(config), objective, blocks: false });
  const session = await Session.create(graph, { ...place, threads: 1 });
  const outputs = await session.run({ ...microBatch(sequences, [0, 1], layout).feeds, ...Object.fromEntries(params) });
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
  ];
}
