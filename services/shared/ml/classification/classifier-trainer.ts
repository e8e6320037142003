// Dimensions: B batch, C classes.
import { RetortError } from "../../base/errors.js";
import { gradientsOf } from "../autodiff/gradients.js";
import { Graph, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { float32, int32 } from "../graph/tensor.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { declareWeights } from "../models/graph-weights.js";
import { parameterCount } from "../models/model-params.js";
import { clipFactor } from "../optim/adamw.js";
import { batchOverhead, cheapestBatches } from "../runtime/batches.js";
import { scalarOf } from "../runtime/outputs.js";
import { type Feeds, Session, type SessionOptions } from "../runtime/session.js";
import { accumulated, declareGradients } from "../training/gradients-out.js";
import { Optimizer, type OptimizerOptions } from "../training/optimizer.js";
import { copyOf, OptimizerState } from "../training/optimizer-state.js";
import { classLogits, paddingId, textFeeds } from "./class-logits.js";
import { type Classifier, classifierSpecs } from "./classifier.js";

/** A text with its class. */
export interface LabelledText {
  readonly ids: Int32Array;
  readonly label: number;
}

/** How a classifier is trained, whatever the batch. */
export interface ClassifierTrainerOptions extends SessionOptions {
  readonly optimizer: OptimizerOptions;
  /** Most tokens of one micro-batch, padding included. */
  readonly microBatchTokens: number;
}

/**
 * Cross-entropy of the class logits and its gradient. Inputs: those of {@link classLogits}, labels [B] int32, weights [B]
 * (of each text in the step's mean), the model's weights, and the gradients so far. Outputs: loss, Σ weight · cross-entropy, and the
 * gradients with those of the batch added.
 */
function accumulateGraph(config: ModelConfig, classes: number): Graph {
  const graph = new Graph("classifier");
  const specs = classifierSpecs(config, classes);
  const params = declareWeights(graph, specs, "inputs");
  const logits_BC = classLogits(graph, config, params);
  const labels_B = graph.input("labels", "int32", ["B"]);
  const weights_B = graph.input("weights", "float32", ["B"]);
  const logprobs_B = op.squeeze(op.gatherElements(op.logSoftmax(logits_BC), op.unsqueeze(labels_B, [1])), [1]);
  const loss = op.neg(op.reduceSum(op.mul(logprobs_B, weights_B)));
  graph.output("loss", loss);
  const wrt = [...params.values()];
  const gradients = gradientsOf(loss, wrt);
  declareGradients(
    graph,
    specs,
    specs.map((spec, i) => accumulated(graph, spec, gradients[i] as Value)),
  );
  return graph;
}

/** Trains a classifier: each call of {@link step} is one optimiser step. It blocks its thread; calls must not overlap. */
export class ClassifierTrainer {
  readonly #classifier: Classifier;
  readonly #options: ClassifierTrainerOptions;
  readonly #state: OptimizerState;
  readonly #optimizer: Optimizer;
  #session: Session | undefined;

  constructor(classifier: Classifier, options: ClassifierTrainerOptions) {
    this.#classifier = classifier;
    this.#options = options;
    this.#state = new OptimizerState(classifierSpecs(classifier.config, classifier.labels.length), classifier.params);
    this.#optimizer = new Optimizer(this.#state, options);
  }

  /**
   * One optimiser step on the mean cross-entropy of a batch, which it gives in nats. A batch that is too large is split,
   * which changes nothing.
   *
   * @throws DataLoss if the loss or the gradient is not finite: the weights are then unchanged
   */
  async step(batch: readonly LabelledText[], learningRate: number): Promise<number> {
    const { optimizer, microBatchTokens } = this.#options;
    const loss = await this.#gradients(batch, microBatchTokens);
    const norm = await this.#optimizer.norm();
    if (!Number.isFinite(loss) || !Number.isFinite(norm))
      throw new RetortError("DataLoss", `loss ${loss}, gradient norm ${norm}: the step was not applied; lower the learning rate`);
    await this.#optimizer.update({ learningRate, scale: clipFactor(norm, optimizer.maxGradNorm) }, optimizer);
    return loss;
  }

  /** The classifier with the weights of now. */
  current(): Classifier {
    return { ...this.#classifier, params: copyOf(this.#state.params) };
  }

  async release(): Promise<void> {
    await this.#session?.release();
    await this.#optimizer.release();
    this.#session = undefined;
  }

  /** Puts the gradients of a batch into the state. @returns its loss */
  async #gradients(batch: readonly LabelledText[], microBatchTokens: number): Promise<number> {
    this.#session ??= await this.#compile();
    this.#state.clearGradients();
    const { feeds, gradientsIn, gradientsOut } = this.#state;
    let loss = 0;
    const lengths = batch.map(({ ids }) => [ids.length]);
    const overhead = batchOverhead(parameterCount(this.#classifier.config));
    for (const members of cheapestBatches(lengths, microBatchTokens, overhead)) {
      const part = members.map((i) => batch[i]!);
      const into = { ...gradientsOut, loss: float32([0], []) };
      loss += scalarOf(await this.#session.run({ ...this.#feeds(part, batch.length), ...feeds, ...gradientsIn }, into), "loss");
    }
    return loss;
  }

  #feeds(texts: readonly LabelledText[], count: number): Feeds {
    const ids = texts.map((text) => text.ids);
    const labels = texts.map(({ label }) => label);
    return {
      ...textFeeds(ids, paddingId(this.#classifier)),
      labels: int32(labels, [texts.length]),
      weights: float32(new Float32Array(texts.length).fill(1 / count), [texts.length]),
    };
  }

  async #compile(): Promise<Session> {
    const { config, labels } = this.#classifier;
    return Session.create(accumulateGraph(config, labels.length), { ...this.#options, memoryArena: true, bound: true });
  }
}
