import type { MessageInitShape } from "@bufbuild/protobuf";
import { RetortError } from "../shared/base/errors.js";
import type { WorkerClient } from "../shared/base/workers.js";
import { toFloat32, toInt32 } from "../shared/flow/arrays.js";
import { resolveObjective, resolveOptimizer } from "../shared/flow/runs/resolve.js";
import { payloadBytes } from "../shared/flow/scores/payload.js";
import type { ScoredSequence, StepRequest, StepResponseSchema } from "../shared/gen/retort/v1/learner_pb.js";
import type { Signal } from "../shared/ml/scoring/score.js";
import type { TrainSequence } from "../shared/ml/training/batch.js";
import type { TrainerOptions } from "../shared/ml/training/trainer.js";
import { firstTokens, scoreOf, signalOf } from "./score.js";
import type { TrainHost } from "./train-host.js";

/** A learner without a run: optimiser steps on batches that callers send. */
export class Standalone {
  readonly #host: WorkerClient<TrainHost>;
  readonly #model: string | undefined;
  readonly #device: Pick<TrainerOptions, "device" | "threads">;
  steps = 0;
  /** Digest of the head of each teacher directory that was loaded. */
  readonly #heads = new Map<string, string>();

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
  async step(request: StepRequest): Promise<MessageInitShape<typeof StepResponseSchema>> {
    const { sequences, objective, optimizer } = request;
    const options = this.#options(objective ?? {}, optimizer);
    const signal = signalOf(request.signal);
    const head = signal.kind === "hidden" ? await this.#head(request) : "";
    await this.#host.configure(options);
    const { learningRate } = resolveOptimizer(optimizer);
    const stats = await this.#host.step(
      sequences.map((sequence) => firstTokens(trainSequence(sequence, signal, head), objective?.prefixTokens ?? 0)),
      learningRate,
    );
    this.steps++;
    const bytes = sequences.reduce(
      (sum, { score, sequence }) => sum + payloadBytes(score ?? {}) + (sequence!.studentTopIds?.data.length ?? 0),
      0,
    );
    const tokens = sequences.reduce((sum, { sequence }) => sum + (sequence!.completionIds?.shape[0] ?? 0), 0);
    const { sequenceDivergence, ...figures } = stats;
    return { result: { step: this.steps, sequences: sequences.length, signalBytesPerToken: bytes / tokens, ...figures } };
  }

  /** Loads the head that the request names, once, and gives its digest. */
  async #head({ teacherModel, headDigest }: StepRequest): Promise<string> {
    if (!teacherModel)
      throw new RetortError(
        "InvalidArgument",
        "teacherModel is empty; the signal hidden needs the teacher's model directory to make logits from",
        {
          fieldPath: "teacherModel",
        },
      );
    const known = this.#heads.get(teacherModel) ?? (await this.#host.addHead(teacherModel)).digest;
    this.#heads.set(teacherModel, known);
    if (headDigest && headDigest !== known)
      throw new RetortError("InvalidArgument", `headDigest is ${headDigest}; the head in ${teacherModel} has ${known}`, {
        fieldPath: "headDigest",
      });
    return known;
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

function trainSequence({ sequence, score, reward }: ScoredSequence, signal: Signal, head: string): TrainSequence {
  return {
    promptIds: toInt32(sequence!.promptIds, "promptIds"),
    completionIds: toInt32(sequence!.completionIds, "completionIds"),
    ...(score ? { score: scoreOf(score, signal, sequence!, head) } : {}),
    ...(reward ? { advantage: reward.value } : {}),
    ...(sequence!.samplerLogprobs ? { samplerLogprobs: toFloat32(sequence!.samplerLogprobs, "samplerLogprobs") } : {}),
  };
}
