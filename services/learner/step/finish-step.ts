import { purge } from "../../shared/base/streams/ensure.js";
import { streamNames } from "../../shared/flow/streams.js";
import { stepToken, subjects } from "../../shared/flow/subjects.js";
import { Purpose } from "../../shared/gen/retort/v1/flow_pb.js";
import type { StepStats } from "../../shared/ml/training/stats.js";
import type { RunContext } from "../context/run-context.js";
import { recordStep } from "./account.js";
import type { Assembled } from "./assemble.js";
import type { IssuedStep } from "./issued-steps.js";
import { type StepTimes, stepFigures, taughtBy } from "./step-figures.js";

/** A step whose version has been published. */
export interface TrainedStep {
  readonly issued: IssuedStep;
  readonly assembled: Assembled;
  readonly stats: StepStats;
  readonly times: StepTimes;
  /** The step that this learner began behind. */
  readonly fromStep: number;
  /** Tasks of later steps that have been handed out. */
  readonly tasksInFlight: number;
}

/** Accounts for a step, reports it, and clears its results away. */
export async function finishStep(context: RunContext, trained: TrainedStep): Promise<void> {
  const { membership, results, progress, fence, report } = context;
  const { issued, assembled, stats, times, fromStep, tasksInFlight } = trained;
  const { runs, runId, run, streams } = membership;
  const { step, phase, tasks } = issued;
  const key = { purpose: Purpose.TRAIN as const, step, attempt: Number(fence) };
  results.forget(stepToken(key));
  await recordStep(context, step, fromStep, tasks, assembled);
  const place = { step, totalSteps: run.totalSteps, source: tasks[0]!.source };
  const figures = { tasksInFlight, ...taughtBy(tasks), ...stepFigures(phase, assembled, stats, times) };
  await report.event({ case: "stepFinished", value: { ...place, ...figures } }, String(step));
  await runs.update(runId, (next) => {
    next.step = step;
    return true;
  });
  await purge(streams, streamNames.results, subjects.results(runId, key));
  progress.stepFinished(step, figures);
}
