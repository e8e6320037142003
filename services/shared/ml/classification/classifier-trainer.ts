// Dimensions: B batch, C classes.

import { RetortError } from "../../base/errors.js";
import { gradientsOf } from "../autodiff/gradients.js";
import { Graph } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { int32, type Tensor } from "../graph/tensor.js";
import type { ModelConfig } from "../models/config.js";
import { declareWeights } from "../models/params.js";
import { Session, type SessionOptions } from "../runtime/session.js";
import { OptimizerState } from "../training/optimizer-state.js";
import { type OptimizerOptions, update } from "../training/update.js";
import { classLogits, textFeeds } from "./class-logits.js";
import { type Classifier, classifierSpecs } from "./classifier.js";

/** A text with its class. */
export interface LabelledText {
  readonly ids: Int32Array;
  readonly label: number;
}

/**
 * One optimiser step of a classifier: cross-entropy of the class logits, averaged over the batch, its gradient and AdamW.
 * Inputs: those of {@link classLogits}, labels [B] int32, the weights and the optimiser's. Outputs: loss, gradientNorm and
 * the new state.
 */
export function classifierStepGraph(config: ModelConfig, classes: number, optimizer: OptimizerOptions): Graph {
  const graph = new Graph("classifier-step");
  const params = declareWeights(graph, classifierSpecs(config, classes), "inputs");
  const logits_BC = classLogits(graph, config, params);
  const labels_B = graph.input("labels", "int32", ["B"]);
  const logprobs_B = op.squeeze(op.gatherElements(op.logSoftmax(logits_BC), op.unsqueeze(labels_B, [1])), [1]);
  const loss = op.neg(op.reduceMean(logprobs_B, [0]));
  graph.output("loss", loss);
  const names = [...params.keys()];
  update(graph, { params, names, values: gradientsOf(loss, [...params.values()]) }, optimizer);
  return graph;
}

/** Trains a classifier. It blocks its thread; calls must not overlap. */
export class ClassifierTrainer {
  readonly #classifier: Classifier;
  readonly #optimizer: OptimizerOptions;
  readonly #session: Session;
  readonly #state: OptimizerState;

  private constructor(classifier: Classifier, optimizer: OptimizerOptions, session: Session) {
    this.#classifier = classifier;
    this.#optimizer = optimizer;
    this.#session = session;
    this.#state = new OptimizerState(classifier.params);
  }

  static async create(classifier: Classifier, optimizer: OptimizerOptions, options: SessionOptions): Promise<ClassifierTrainer> {
    const graph = classifierStepGraph(classifier.config, classifier.labels.length, optimizer);
    return new ClassifierTrainer(classifier, optimizer, await Session.create(graph, { ...options, memoryArena: true }));
  }

  /**
   * One optimiser step; gives the mean cross-entropy in nats.
   *
   * @throws DataLoss if the loss or the gradient is not finite: the weights are then unchanged
   */
  async step(batch: readonly LabelledText[], learningRate: number): Promise<number> {
    const { loss, gradientNorm } = await this.#session.run(
      {
        ...textFeeds(
          batch.map(({ ids }) => ids),
          this.#classifier.config.padId,
        ),
        labels: int32(
          batch.map(({ label }) => label),
          [batch.length],
        ),
        ...this.#state.scalars(learningRate, this.#optimizer),
        ...this.#state.current,
      },
      this.#state.next,
    );
    const [value, norm] = [loss!, gradientNorm!].map(({ data }: Tensor) => (data as Float32Array)[0]!) as [number, number];
    if (!Number.isFinite(value) || !Number.isFinite(norm))
      throw new RetortError("DataLoss", `loss ${value}, gradient norm ${norm}: the step was not applied; lower the learning rate`);
    this.#state.advance();
    return value;
  }

  /** The classifier with the weights of now. */
  current(): Classifier {
    return { ...this.#classifier, params: this.#state.params() };
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}
