import type { MessageInitShape } from "@bufbuild/protobuf";
import pLimit from "p-limit";
import { RetortError } from "../../shared/base/errors.js";
import type { WorkerClient } from "../../shared/base/workers.js";
import { signalOf, wholeDistribution } from "../../shared/codec/signal-spec.js";
import { resolveObjective, resolveOptimizer } from "../../shared/flow/runs/resolve.js";
import { Source } from "../../shared/gen/retort/v1/flow_pb.js";
import type { StepRequestValid, StepResponseSchema } from "../../shared/gen/retort/v1/learner_pb.js";
import { learningRate } from "../../shared/ml/optim/schedule.js";
import { signals } from "../../shared/ml/signals/table.js";
import type { TrainerOptions } from "../../shared/ml/training/trainer.js";
import type { LearnerStatus } from "../context/run-context.js";
import { movedScores } from "../model/moved-scores.js";
import type { StudentOptions } from "../model/open-student.js";
import type { TrainHost } from "../model/train-host.js";
import { batchOf, checkStep } from "./step-request.js";

/** The model of a learner without a run. */
interface StandaloneModel extends Pick<StudentOptions, "dtype"> {
  readonly directory: string | undefined;
}

/** A learner without a run: optimiser steps on batches that callers send. */
export class Standalone {
  readonly #host: WorkerClient<TrainHost>;
  readonly #model: StandaloneModel;
  readonly #device: Pick<TrainerOptions, "device" | "threads">;
  /** One call at a time: a step is several calls of the worker, and none of another may come between. */
  readonly exclusive = pLimit(1);
  steps = 0;
  /** Digest of the head of each teacher directory that was loaded. */
  readonly #heads = new Map<string, string>();

  constructor(host: WorkerClient<TrainHost>, model: StandaloneModel, device: Pick<TrainerOptions, "device" | "threads">) {
    this.#host = host;
    this.#model = model;
    this.#device = device;
  }

  /** Where it is. */
  status(): LearnerStatus {
    return { step: this.steps, totalSteps: 0, activity: "waiting for calls" };
  }

  /** Loads the model. @throws InvalidArgument if none is named */
  async open(): Promise<void> {
    const { directory, dtype } = this.#model;
    if (!directory)
      throw new RetortError("InvalidArgument", "a learner that stands alone needs --model DIR; one that serves a run needs --run ID");
    await this.#host.open({ directory }, this.#options({}, undefined), { dtype });
  }

  /**
   * One step. Calls are taken one after the other.
   *
   * @throws InvalidArgument naming the field that is at fault, or that nothing would read
   */
  step(request: StepRequestValid): Promise<MessageInitShape<typeof StepResponseSchema>> {
    return this.exclusive(() => this.#step(request));
  }

  async #step(request: StepRequestValid): Promise<MessageInitShape<typeof StepResponseSchema>> {
    const { objective, optimizer } = request;
    checkStep(request);
    const rate = rateOf(request, this.steps + 1);
    const options = this.#options(objective ?? {}, optimizer);
    const signal = request.signal ? signalOf(request.signal) : wholeDistribution;
    const head = signals[signal.kind].needsHead ? await this.#head(request) : "";
    const { batch, ...figures } = batchOf(request, signal, head, this.steps);
    await this.#host.configure(options);
    const { sequenceDivergence, watched: _, ...stats } = await this.#host.step(movedScores(batch), rate);
    this.steps++;
    const source = batch.some(({ samplerLogprobs }) => samplerLogprobs) ? Source.STUDENT : Source.UNSPECIFIED;
    return { result: { step: this.steps, totalSteps: request.totalSteps, sequences: batch.length, source, ...figures, ...stats } };
  }

  /** Loads the head that the request names, once, and returns its digest. */
  async #head({ teacherModel, headDigest }: StepRequestValid): Promise<string> {
    if (!teacherModel)
      throw new RetortError(
        "InvalidArgument",
        "teacherModel is empty; the signal hidden needs the teacher's model directory to make logits from",
        {
          fieldPath: "teacherModel",
        },
      );
    const known = this.#heads.get(teacherModel) ?? (await this.#host.addHead([{ model: teacherModel, share: 1 }])).digest;
    this.#heads.set(teacherModel, known);
    if (headDigest && headDigest !== known)
      throw new RetortError("InvalidArgument", `headDigest is ${headDigest}; the head in ${teacherModel} has ${known}`, {
        fieldPath: "headDigest",
      });
    return known;
  }

  #options(objective: Partial<NonNullable<StepRequestValid["objective"]>>, optimizer: StepRequestValid["optimizer"]): TrainerOptions {
    const { microBatchTokens, gradientCheckpointing, computeDtype, beta1, beta2, epsilon, weightDecay, maxGradNorm } =
      resolveOptimizer(optimizer);
    return {
      ...this.#device,
      objective: resolveObjective({}, objective, 1),
      microBatchTokens,
      gradientCheckpointing,
      computeDtype,
      optimizer: { beta1, beta2, epsilon, weightDecay, maxGradNorm },
    };
  }
}

/** Learning rate of a step, 1-based over the steps of this process. */
function rateOf({ optimizer, totalSteps }: StepRequestValid, step: number): number {
  const { schedule: kind, ...settings } = resolveOptimizer(optimizer);
  if (kind !== "constant" && totalSteps === 0)
    throw new RetortError("InvalidArgument", `optimizer.schedule is ${kind}, and totalSteps is missing; say over how many steps it runs`, {
      fieldPath: "totalSteps",
    });
  return learningRate({ ...settings, kind, totalSteps }, step);
}
