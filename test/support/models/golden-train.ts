import { readFileSync } from "node:fs";
import { float32, type Tensor } from "../../../services/shared/ml/graph/tensor.js";
import type { ModelConfig } from "../../../services/shared/ml/models/config/model-config.js";
import { paramSpecs } from "../../../services/shared/ml/models/model-params.js";
import { parseConfig } from "../../../services/shared/ml/models/parse-config.js";
import type { Schedule } from "../../../services/shared/ml/optim/schedule.js";
import type { TrainSequence } from "../../../services/shared/ml/training/batch.js";
import { Trainer, type TrainerOptions } from "../../../services/shared/ml/training/trainer.js";
import { plainObjective } from "../loss/loss.js";

type Arrays = Readonly<Record<string, number[]>>;

/** One model's ten training steps as PyTorch made them (test/golden/train.py). */
export interface GoldenTrace {
  readonly config: Readonly<Record<string, unknown>>;
  readonly teacherLogprobs: number[][];
  readonly initial: Arrays;
  readonly firstGradients: Arrays;
  readonly steps: readonly { readonly learningRate: number; readonly loss: number; readonly gradientNorm: number }[];
  readonly final: Arrays;
}

/** The whole fixture. */
export interface GoldenTrain {
  readonly sequences: readonly { readonly prompt: number[]; readonly completion: number[] }[];
  readonly schedule: Schedule;
  readonly optimizer: TrainerOptions["optimizer"];
  readonly tied: GoldenTrace;
  readonly untied: GoldenTrace;
  readonly adamw: {
    readonly initial: number[];
    readonly gradients: number[][];
    readonly maxGradNorm: number;
    readonly weightDecay: number;
    readonly steps: readonly { readonly learningRate: number; readonly gradientNorm: number; readonly param: number[] }[];
  };
}

/** The traces of every model and optimiser. */
export const goldenTrain = JSON.parse(readFileSync("test/golden/fixtures/train.json", "utf8")) as GoldenTrain;

/** What a trainer of a golden trace is made from. */
export interface TrainSetup {
  readonly config: ModelConfig;
  readonly weights: Map<string, Tensor<"float32">>;
  readonly batch: TrainSequence[];
  readonly options: TrainerOptions;
}

/** The trainer's arguments and the batch of a golden trace; the teacher's distribution comes as signal `full`. */
export function trainSetup(trace: GoldenTrace): TrainSetup {
  const config = parseConfig(trace.config);
  const weights = new Map(paramSpecs(config).map(({ name, dims }) => [name, float32(trace.initial[name]!, dims)]));
  const batch = goldenTrain.sequences.map(({ prompt, completion }, i) => {
    const full = Float32Array.from(trace.teacherLogprobs[i]!);
    const logprobs = Float32Array.from(completion, (id, n) => full[n * config.vocabSize + id]!);
    const score = { signal: { kind: "full" as const, k: 0, temperature: 1 }, logprobs, full };
    return { promptIds: Int32Array.from(prompt), completionIds: Int32Array.from(completion), score };
  });
  const options = {
    device: "cpu" as const,
    threads: 1,
    objective: plainObjective,
    optimizer: goldenTrain.optimizer,
    microBatchTokens: 1000,
  };
  return { config, weights, batch, options };
}

/** One step of a new trainer: its figures, and the weights after it. @param watched the sequences whose rows are reported */
export async function firstStep(
  { config, weights, options }: Omit<TrainSetup, "batch">,
  batch: readonly TrainSequence[],
  watched: readonly number[],
) {
  const trainer = new Trainer(config, weights, options);
  const stats = await trainer.step(batch, 0.01, watched);
  const after = [...trainer.params().values()].flatMap(({ data }) => [...data]);
  await trainer.release();
  return { stats, weights: after };
}

/** Ways to take the vocabulary loss in parts, which change nothing. */
export const inParts: readonly Partial<TrainerOptions>[] = [{ blockRows: 2 }, { sliceRows: 2 }, { blockRows: 4, sliceRows: 2 }];
