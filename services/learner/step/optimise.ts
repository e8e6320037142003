import { traced } from "../../shared/base/tracing.js";
import type { Phase } from "../../shared/flow/runs/resolve.js";
import { Work } from "../../shared/gen/retort/v1/events_pb.js";
import { learningRate } from "../../shared/ml/optim/schedule.js";
import type { TrainSequence } from "../../shared/ml/training/batch.js";
import type { StepStats } from "../../shared/ml/training/stats.js";
import type { RunContext } from "../context/run-context.js";
import { movedScores } from "../model/moved-scores.js";
import { type Alarms, endOf, publishAlarm } from "./alarms.js";

/**
 * Trains the student on a step's batch, and raises the alarms that begin with it.
 *
 * @param batch see {@link movedScores}
 * @param watched sequences whose tokens are reported one by one
 * @throws what ends the run, with the step before its message
 */
export async function optimise(
  context: RunContext,
  alarms: Alarms,
  { optimizer, firstStep, lastStep }: Phase,
  step: number,
  { batch, watched }: { readonly batch: readonly TrainSequence[]; readonly watched: readonly number[] },
): Promise<StepStats> {
  const { host, fence, progress, membership } = context;
  progress.doing(step, `training step ${step}`);
  const rate = learningRate({ ...optimizer, kind: optimizer.schedule, totalSteps: lastStep - firstStep + 1 }, step - firstStep + 1);
  const alarm = (id: string, message: string) => publishAlarm(context, `${id}/${fence}`, message);
  const sent = movedScores(batch);
  const train = () => membership.process.during(Work.TRAINING, `step ${step}`, step, () => host.step(sent, rate, watched));
  const stats = await traced("train", {}, train).catch((error: unknown) => endOf(step, error, alarm));
  membership.process.tokens(stats.completionTokens);
  for (const { kind, message } of alarms.of(step, stats)) await alarm(`${kind}/${step}`, message);
  return stats;
}
