import { setTimeout as sleep } from "node:timers/promises";
import { RunState } from "../../shared/gen/retort/v1/run_pb.js";
import type { RunContext } from "../context/run-context.js";
import type { Ending } from "./ending.js";

/** How often a paused run looks whether it goes on. */
const lookMs = 300;

/**
 * Pauses and stops a run as the controller wants it, and hands it back when this process is to stop.
 *
 * @param save saves a checkpoint, before the run pauses or ends
 * @returns how the run ends here; undefined where it goes on
 */
export async function obeyControl(context: RunContext, step: number, save: () => Promise<void>): Promise<Ending | undefined> {
  const { membership, stop, progress, report } = context;
  const { runs, runId } = membership;
  for (let paused = false; ; await sleep(lookMs)) {
    const control = stop.aborted ? "handBack" : await runs.control(runId);
    if (control === "run") {
      if (paused) await report.state(RunState.RUNNING, step);
      return undefined;
    }
    if (control !== "pause") {
      await save();
      return control === "stop" ? "stopped" : "handedBack";
    }
    if (paused) continue;
    await save();
    await report.state(RunState.PAUSED, step);
    progress.doing(step, "paused");
    paused = true;
  }
}
