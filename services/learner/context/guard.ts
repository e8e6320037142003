import { RetortError } from "../../shared/base/errors.js";
import type { LearnerContext, RunContext } from "./run-context.js";

/** True if the run is to stop, or this process: what takes long is given up then. */
export async function isStopping({ membership: { runs, runId }, stop }: LearnerContext): Promise<boolean> {
  return stop.aborted || (await runs.control(runId)) === "stop";
}

/** True if the run is to stop or to pause, or this process is to stop. */
export async function isInterrupted({ membership: { runs, runId }, stop }: LearnerContext): Promise<boolean> {
  return stop.aborted || (await runs.control(runId)) !== "run";
}

/** Refuses to go on when another learner has taken the run over. @throws Aborted */
export async function guard({ membership: { runs, runId }, fence: own }: RunContext): Promise<void> {
  const { fence } = await runs.get(runId);
  if (fence !== own)
    throw new RetortError("Aborted", `run ${runId} was taken over by another learner (fence ${fence}, ours ${own})`, { retry: "never" });
}
