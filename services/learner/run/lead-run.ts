import { RetortError } from "../../shared/base/errors.js";
import { tellAudit } from "../../shared/flow/ledger/audit-run.js";
import { publishEvent } from "../../shared/flow/runs/events.js";
import type { Membership } from "../../shared/flow/runs/membership.js";
import { RunState } from "../../shared/gen/retort/v1/run_pb.js";
import type { LearnerContext } from "../context/run-context.js";
import type { Ending } from "./ending.js";
import { LearnerRun } from "./learner-run.js";

/**
 * Leads a run to its end, and records how it ended.
 *
 * @throws Cancelled if this learner was asked to leave, so that its exit code says that the run goes on in another one;
 *   what the run failed with
 */
export async function leadRun(learner: LearnerContext): Promise<void> {
  const { membership } = learner;
  const ending = await execute(learner);
  if (ending === "over") return;
  if (ending === "handedBack")
    throw new RetortError("Cancelled", `this learner was asked to leave; run ${membership.runId} goes on in the next one`);
  await record(membership, ending === "succeeded" ? RunState.SUCCEEDED : RunState.STOPPED, "");
}

/** A failure that another learner would only meet again is the run's. One that was replaced has nothing to record. */
async function execute(learner: LearnerContext): Promise<Ending> {
  try {
    return await LearnerRun.execute(learner);
  } catch (thrown) {
    const error = RetortError.from(thrown);
    if (error.retry === "never" && error.code !== "Aborted") await record(learner.membership, RunState.FAILED, error.message);
    throw error;
  }
}

/** The end of a run: its audit, then its final state, which ends every watch. */
async function record({ runs, streams, runId }: Membership, state: RunState, message: string): Promise<void> {
  await tellAudit(streams, await runs.get(runId));
  const run = await runs.transition(runId, state, message);
  if (run) await publishEvent(streams, runId, { case: "stateChanged", value: { state, message } }, `ended/${state}/${run.fence}`);
}
