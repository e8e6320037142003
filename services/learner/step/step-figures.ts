import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Phase } from "../../shared/flow/runs/resolve.js";
import type { StepFinishedSchema, TeacherShareSchema } from "../../shared/gen/retort/v1/events_pb.js";
import { rowWeights, type TrainSequence } from "../../shared/ml/training/batch.js";
import type { StepStats } from "../../shared/ml/training/stats.js";
import type { PlannedTask } from "../tasks/planned-task.js";
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
  { name, objective }: Pick<Phase, "name" | "objective">,
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
    teachers: teacherShares(batch, objective, sequenceDivergence),
    seconds: (publishedMs - startedMs) / 1000,
    waitSeconds: (collectedMs - startedMs) / 1000,
    trainSeconds: (trainedMs - collectedMs) / 1000,
    publishSeconds: (publishedMs - trainedMs) / 1000,
  } satisfies MessageInitShape<typeof StepFinishedSchema>;
}

/** Which version of the student taught it: tasks for teachers that follow it have the same one, those for others none. */
export function taughtBy(tasks: readonly Pick<PlannedTask, "teacherVersion">[]): { readonly teacherVersion?: number } {
  const { teacherVersion } = tasks.find((task) => task.teacherVersion !== undefined) ?? {};
  return teacherVersion === undefined ? {} : { teacherVersion };
}

/** What each teacher scored of a batch, in the order in which they come; nothing where one scored all of it. */
function teacherShares(
  batch: readonly TrainSequence[],
  objective: Phase["objective"],
  sequenceDivergence: Float32Array,
): MessageInitShape<typeof TeacherShareSchema>[] {
  const weights = rowWeights(batch, objective);
  const shares = new Map<string, { sequences: number; completionTokens: number; lossShare: number; divergence: number }>();
  for (const [i, { teacher, completionIds }] of batch.entries()) {
    if (!teacher) continue;
    const share = shares.get(teacher.name) ?? { sequences: 0, completionTokens: 0, lossShare: 0, divergence: 0 };
    shares.set(teacher.name, share);
    share.sequences += 1;
    share.completionTokens += completionIds.length;
    share.lossShare += weights[i]! * completionIds.length;
    share.divergence += sequenceDivergence[i]! * completionIds.length;
  }
  if (shares.size < 2) return [];
  return [...shares].map(([name, share]) => ({ ...share, name, divergence: share.divergence / share.completionTokens }));
}
