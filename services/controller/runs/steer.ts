import { RetortError } from "../../shared/base/errors.js";
import { anyone, type Caller } from "../../shared/base/rpc/caller.js";
import { publishEvent } from "../../shared/flow/runs/events.js";
import { isOver } from "../../shared/flow/runs/run-store.js";
import { type Run, RunState } from "../../shared/gen/retort/v1/run_pb.js";
import { defaultStopDeadlineMs } from "../config.js";
import type { ControllerContext } from "./context.js";
import { checkOwner, withinQuota } from "./ownership.js";
import { checkGoing } from "./supervisor.js";
import { described } from "./watch.js";

/** Asks a run to save a checkpoint and hold; in a cluster its pods then go. @throws FailedPrecondition if it is over or being stopped */
export async function pauseRun(context: ControllerContext, runId: string, caller: Caller = anyone): Promise<Run> {
  const { runs, supervisor } = context;
  const before = await runs.get(runId);
  checkOwner(before, caller, "paused");
  checkGoing(before, "paused");
  if ((await runs.control(runId)) === "stop")
    throw new RetortError("FailedPrecondition", `run ${runId} is being stopped; wait until it is stopped, or resume it first`);
  await runs.setControl(runId, "pause");
  supervisor.follow(runId);
  return described(context, await runs.get(runId));
}

/**
 * Asks a run to save a checkpoint and end. What still runs after the deadline is killed; asked again, the earlier deadline
 * stays.
 *
 * @param now ends it at once, without a checkpoint
 * @throws FailedPrecondition if it is over
 */
export async function stopRun(context: ControllerContext, runId: string, now: boolean, caller: Caller = anyone): Promise<Run> {
  const { runs, streams, supervisor, stopDeadlineMs = defaultStopDeadlineMs } = context;
  const before = await runs.get(runId);
  checkOwner(before, caller, "stopped");
  checkGoing(before, "stopped");
  // Its checkpoint is saved, and no learner is there to say so.
  const atOnce = now || (await supervisor.holds(before));
  const { control, deadline = Number.POSITIVE_INFINITY } = await runs.wish(runId);
  const latest = atOnce ? Date.now() : Date.now() + stopDeadlineMs;
  if (control !== "stop" || latest < deadline) await runs.setControl(runId, "stop", latest);
  const run = await runs.transition(runId, RunState.STOPPING, "");
  if (run && control !== "stop")
    await publishEvent(
      streams,
      runId,
      { case: "stateChanged", value: { state: RunState.STOPPING, message: "" } },
      `stopping/${Date.now()}`,
    );
  supervisor.follow(runId);
  if (atOnce) await supervisor.enforce(runId);
  return described(context, await runs.get(runId));
}

/**
 * Goes on with a run that is paused, is being stopped, or is over without success.
 *
 * @throws FailedPrecondition if it has succeeded; ResourceExhausted if it is over, and its owner's quota has no room for it
 */
export async function resumeRun(context: ControllerContext, runId: string, caller: Caller = anyone): Promise<Run> {
  const { runs, supervisor } = context;
  const before = await runs.get(runId);
  const { state } = before;
  checkOwner(before, caller, "resumed");
  if (state === RunState.SUCCEEDED) throw new RetortError("FailedPrecondition", `run ${runId} has succeeded; there is nothing to resume`);
  const goOn = async () => {
    await runs.setControl(runId, "run");
    supervisor.follow(runId);
    return described(context, await supervisor.resume(runId));
  };
  return isOver(state) ? withinQuota(context, before, goOn) : goOn();
}

/**
 * Deletes a run that is over, with all that is kept for it; its trained student stays. A run whose own record is lost is
 * deleted too.
 *
 * @returns the bytes that are free again
 * @throws FailedPrecondition while it is going; NotFound if there is no trace of it
 */
export async function deleteRun({ runs, supervisor, storage }: ControllerContext, runId: string): Promise<number> {
  if (!storage) throw new RetortError("Unimplemented", "this controller keeps no files of runs, and cannot delete one");
  return supervisor.alone(runId, async () => {
    const run = await runs.get(runId).catch(async (error: unknown) => {
      const known = ["NotFound", "DataLoss"].includes(RetortError.from(error).code) && (await storage.knows(runId));
      if (!known) throw error;
      return undefined;
    });
    if (run && !isOver(run.state))
      throw new RetortError(
        "FailedPrecondition",
        `run ${runId} is ${RunState[run.state].toLowerCase()}; stop it first: retort stop ${runId}`,
      );
    return storage.remove(runId, run);
  });
}
