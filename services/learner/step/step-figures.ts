import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Phase } from "../../shared/flow/runs/resolve.js";
import type { StepFinishedSchema } from "../../shared/gen/retort/v1/events_pb.js";
import type { StepStats } from "../../shared/ml/training/stats.js";
import type { Assembled } from "./assemble.js";

/** When the parts of a step were done, in milliseconds of `performance.now()`. */
export interface StepTimes {
  readonly started: number;
  readonly collected: number;
  readonly trained: number;
  readonly published: number;
}

/** The figures of a step's event, from its batch and from what the trainer says of it. */
export function stepFigures(
  { name }: Phase,
  assembled: Assembled,
  stats: StepStats,
  { started, collected, trained, published }: StepTimes,
): MessageInitShape<typeof StepFinishedSchema> {
  const { batch, failures, trained: _, ...figures } = assembled;
  const { sequenceDivergence, ...rest } = stats;
  return {
    phase: name,
    sequences: batch.length,
    failedPrompts: failures.length,
    ...figures,
    ...rest,
    seconds: (published - started) / 1000,
    waitSeconds: (collected - started) / 1000,
    trainSeconds: (trained - collected) / 1000,
    publishSeconds: (published - trained) / 1000,
  };
}
