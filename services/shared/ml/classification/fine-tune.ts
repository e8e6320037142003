import { deriveSeed, permutation } from "../../base/random.js";
import { learningRate } from "../optim/schedule.js";
import type { SessionOptions } from "../runtime/session.js";
import type { EncodedText } from "../text/tokenizer.js";
import type { Classifier } from "./classifier.js";
import { ClassifierTrainer, type LabelledText } from "./classifier-trainer.js";
import { decoderClassifier } from "./decoder-classifier.js";

/** How a classifier is fine-tuned on labelled texts, and who hears of it. */
export interface FineTuneOptions extends SessionOptions {
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  /** Share of the steps over which the learning rate rises. */
  readonly warmup: number;
  readonly seed: bigint;
  /** Told after every optimiser step how many are done. */
  readonly onStep?: (done: number) => void;
  /** Told after every epoch. */
  readonly onEpoch?: (figures: EpochFigures) => void;
}

/** What an epoch came to. */
export interface EpochFigures {
  readonly epoch: number;
  /** Mean cross-entropy of its texts as they were trained on, nats. */
  readonly loss: number;
  /** Share of the held-out texts whose class is the likeliest; undefined where none is held out. */
  readonly accuracy: number | undefined;
}

/** Optimiser steps of a training: the last batch of an epoch may be smaller. */
export const stepsOf = (texts: number, { epochs, batchSize }: Pick<FineTuneOptions, "epochs" | "batchSize">): number =>
  epochs * Math.ceil(texts / batchSize);

/** Streams of random numbers of one seed, for training and for those who prepare it. */
export const streams = { classWeights: 0, heldOut: 1, order: 2 } as const;

/** Most tokens of one forward, padding included. */
const batchTokens = 8192;

/** AdamW and its clipping as Hugging Face's Trainer has them by default. */
const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };

/**
 * Fine-tunes a whole classifier, as Hugging Face's Trainer does: AdamW, clipped to norm 1, the learning rate rising, then
 * falling linearly to 0; every epoch goes through the texts in an order that the seed names.
 */
export async function fineTune(
  classifier: Classifier,
  texts: readonly LabelledText[],
  heldOut: readonly LabelledText[],
  options: FineTuneOptions,
): Promise<Classifier> {
  const { epochs, batchSize, seed } = options;
  const totalSteps = stepsOf(texts.length, options);
  const schedule = {
    kind: "linear",
    learningRate: options.learningRate,
    warmupSteps: Math.ceil(options.warmup * totalSteps),
    totalSteps,
  } as const;
  const trainer = new ClassifierTrainer(classifier, { ...options, optimizer, microBatchTokens: batchTokens });
  try {
    let step = 0;
    for (let epoch = 1; epoch <= epochs; epoch++) {
      const order = permutation(deriveSeed(seed, streams.order, epoch), texts.length);
      let sum = 0;
      for (let at = 0; at < texts.length; at += batchSize) {
        const batch = Array.from(order.subarray(at, at + batchSize), (i) => texts[i]!);
        sum += batch.length * (await trainer.step(batch, learningRate(schedule, ++step)));
        options.onStep?.(step);
      }
      const accuracy = heldOut.length ? await accuracyOf(trainer.current(), heldOut, options) : undefined;
      options.onEpoch?.({ epoch, loss: sum / texts.length, accuracy });
    }
    return trainer.current();
  } finally {
    await trainer.release();
  }
}

/** Share of texts whose class is the likeliest. */
export async function accuracyOf(classifier: Classifier, texts: readonly LabelledText[], options: SessionOptions): Promise<number> {
  const { logits, release } = await decoderClassifier(classifier, { ...options, batchTokens });
  try {
    const found = await logits(texts.map(({ ids }): EncodedText => ({ ids, typeIds: new Int32Array(ids.length) })));
    return texts.filter(({ label }, i) => found[i]!.indexOf(Math.max(...found[i]!)) === label).length / texts.length;
  } finally {
    await release();
  }
}
