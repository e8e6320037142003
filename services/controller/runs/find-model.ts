import { RetortError } from "../../shared/base/errors.js";
import { runNamed } from "../../shared/flow/runs/run-named.js";
import { parseRunReference } from "../../shared/flow/runs/run-reference.js";
import { isOver, type RunStore } from "../../shared/flow/runs/run-store.js";
import { bestOf } from "./send-weights.js";
import { checkpointSteps, modelAfter, modelOf } from "./storage.js";

/**
 * The directory of the model that `run://RUN[/best|/STEP]` means, where its run wrote it.
 *
 * @throws InvalidArgument for a malformed reference, NotFound if there is no such run or model, FailedPrecondition for a run that is
 *   going: what it keeps changes as it goes on
 */
export async function findModel(runs: RunStore, text: string): Promise<string> {
  const { run: named, which } = parseRunReference(text);
  const run = await runs.get(runNamed(await runs.list(), named));
  const { runId } = run;
  if (!isOver(run.state))
    throw new RetortError(
      "FailedPrecondition",
      `is ${text}, and run ${runId} is going: wait for its end, or name what \`retort export\` makes`,
    );
  if (which === "best") return (await bestOf(run)).path;
  const path = which === "newest" ? await modelOf(run) : await modelAfter(run, which);
  if (path) return path;
  const steps = await checkpointSteps(run);
  throw new RetortError(
    "NotFound",
    `is ${text}, and of run ${runId} there is no ${which === "newest" ? "trained student" : `checkpoint of step ${which}`} to be read from here; it has ${steps.length ? `checkpoints of the steps ${steps.join(", ")}` : "none"}`,
  );
}
