import type { MessageInitShape } from "@bufbuild/protobuf";
import { RetortError } from "../shared/base/errors.js";
import type { WorkerClient } from "../shared/base/workers.js";
import { toFloat32, toInt32 } from "../shared/flow/arrays.js";
import { resolveObjective, resolveOptimizer } from "../shared/flow/runs/resolve.js";
import type { ScoredSequence, StepRequest, StepResponseSchema } from "../shared/gen/retort/v1/learner_pb.js";
import type { Signal } from "../shared/ml/scoring/score.js";
import type { TrainSequence } from "../shared/ml/training/batch.js";
import type { TrainerOptions } from "../shared/ml/training/trainer.js";
import { scoreOf } from "./assemble.js";
import type { TrainHost } from "./train-host.js";

/** A learner without a run: optimiser steps on batches that callers send. */
export class Standalone {
  readonly #host: WorkerClient<TrainHost>;
  readonly #model: string | undefined;
  readonly #device: Pick<TrainerOptions, "device" | "threads">;
  steps = 0;

  constructor(host: WorkerClient<TrainHost>, model: string | undefined, device: Pick<TrainerOptions, "device" | "threads">) {
    this.#host = host;
    this.#model = model;
    this.#device = device;
  }

  async open(): Promise<void> {
    if (!this.#model)
      throw new RetortError("InvalidArgument", "a learner that stands alone needs --model DIR; one that serves a run needs --run ID");
    await this.#host.open({ directory: this.#model }, this.#options({}, undefined));
  }

  /** One step. Calls are taken one after the other by the worker. */
  async step({ sequences, signal, objective, optimizer }: StepRequest): Promise<MessageInitShape<typeof StepResponseSchema>> {
    const options = this.#options(objective ?? {}, optimizer);
    await this.#host.configure(options);
    const kind = { kind: (signal?.kind ?? "full") as Signal["kind"], k: signal?.k ?? 0, temperature: signal?.temperature ?? 1 };
    const { learningRate } = resolveOptimizer(optimizer);
    const stats = await this.#host.step(
      sequences.map((sequence) => trainSequence(sequence, kind)),
      learningRate,
    );
    this.steps++;
    const { sequenceDivergence, ...figures } = stats;
    return { result: { step: this.steps, sequences: sequences.length, ...figures } };
  }

  #options(objective: Partial<NonNullable<StepRequest["objective"]>>, optimizer: StepRequest["optimizer"]): TrainerOptions {
    const { microBatchTokens, beta1, beta2, epsilon, weightDecay, maxGradNorm } = resolveOptimizer(optimizer);
    return {
      ...this.#device,
      objective: resolveObjective({}, objective, 1),
      microBatchTokens,
      optimizer: { beta1, beta2, epsilon, weightDecay, maxGradNorm },
    };
  }
}

function trainSequence({ sequence, score, reward }: ScoredSequence, signal: Signal): TrainSequence {
  return {
    promptIds: toInt32(sequence!.promptIds, "promptIds"),
    completionIds: toInt32(sequence!.completionIds, "completionIds"),
    ...(score ? { score: scoreOf(score, signal) } : {}),
    ...(reward ? { advantage: reward.value } : {}),
    ...(sequence!.samplerLogprobs ? { samplerLogprobs: toFloat32(sequence!.samplerLogprobs, "samplerLogprobs") } : {}),
  };
}
