import { RetortError } from "../../shared/base/errors.js";
import { stepToken } from "../../shared/flow/subjects.js";
import { Work } from "../../shared/gen/retort/v1/events_pb.js";
import { Purpose } from "../../shared/gen/retort/v1/flow_pb.js";
import { comparesRanks } from "../../shared/ml/losses/objective.js";
import { isInterrupted } from "../context/guard.js";
import type { RunContext } from "../context/run-context.js";
import { waitForResults } from "../context/wait-for-results.js";
import { alignResults } from "../tasks/align-results.js";
import { type Assembled, assemble } from "./assemble.js";
import type { IssuedStep } from "./issued-steps.js";

/**
 * Waits for the results of a step and makes its batch of them; what failed is reported.
 *
 * @returns undefined if the run is to pause or to stop meanwhile
 * @throws FailedPrecondition if every prompt failed
 */
export async function collectStep(context: RunContext, { step, phase, tasks }: IssuedStep): Promise<Assembled | undefined> {
  const { progress, report, membership } = context;
  progress.doing(step - 1, `waiting for the results of step ${step}`);
  const found = await membership.process.during(Work.WAITING, `the results of step ${step}`, step, (tell) => {
    const missing = (settled: number, of: number, what: string) => tell(settled, of, what && `${what} of step ${step}`);
    return waitForResults(context, stepToken({ purpose: Purpose.TRAIN, step }), tasks, missing, isInterrupted);
  });
  if (!found) return undefined;
  const { teacherWeights: weights } = membership.run;
  const alignments = await alignResults(context.host, found, comparesRanks(phase.objective));
  const assembled = assemble(found, phase, step, { weights, alignments });
  await report.failures(assembled.failures, step);
  if (assembled.batch.length === 0) {
    const first = assembled.failures[0]?.reason ?? "unknown";
    throw new RetortError("FailedPrecondition", `step ${step}: every prompt failed; the first one: ${first}`);
  }
  return assembled;
}
