import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Phase } from "../../shared/flow/runs/resolve.js";
import type { StepFinishedSchema } from "../../shared/gen/retort/v1/events_pb.js";
import type { StepStats } from "../../shared/ml/training/stats.js";
import type { Assembled } from "./assemble.js";

/** When the parts of a step were done, on the clock of `performance.now()`. */
export interface StepTimes {
  readonly startedMs: number;
  readonly collectedMs: number;
  readonly trainedMs: number;
  readonly publishedMs: number;
}

/** The figures of a step, for its event and the metrics: from its batch and from what the trainer says of it. */
export function stepFigures(
  { name }: Phase,
  assembled: Assembled,
  stats: StepStats,
  { startedMs, collectedMs, trainedMs, publishedMs }: StepTimes,
) {
  const { batch, failures, trained: _, origins: __, ...figures } = assembled;
  const { sequenceDivergence, watched, ...rest } = stats;
  return {
    phase: name,
    sequences: batch.length,
    failedPrompts: failures.length,
    ...figures,
    ...rest,
    seconds: (publishedMs - startedMs) / 1000,
    waitSeconds: (collectedMs - startedMs) / 1000,
    trainSeconds: (trainedMs - collectedMs) / 1000,
    publishSeconds: (publishedMs - trainedMs) / 1000,
  } satisfies MessageInitShape<typeof StepFinishedSchema>;
}
