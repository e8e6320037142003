import { RetortError } from "../../base/errors.js";
import type { Run } from "../../gen/retort/v1/run_pb.js";

/** Runs that an error lists. */
const shownRuns = 8;

/**
 * The id of the run that is meant, among runs that are listed newest first: by its id, the beginning of its id if no other run's begins
 * so, the name of its spec (the newest of that name), or `last`, the newest of all.
 *
 * @throws NotFound if there is none, InvalidArgument that lists the runs if several are meant
 */
export function runNamed(runs: readonly Pick<Run, "runId" | "spec">[], named: string): string {
  const [newest] = runs;
  if (named === "last" && newest) return newest.runId;
  const exact = runs.find(({ runId }) => runId === named) ?? runs.find(({ spec }) => spec?.name === named);
  if (exact) return exact.runId;
  const begun = runs.filter(({ runId }) => runId.startsWith(named));
  const [only] = begun;
  if (only && begun.length === 1) return only.runId;
  if (begun.length) throw new RetortError("InvalidArgument", `"${named}" begins the ids of ${begun.length} runs; say more: ${list(begun)}`);
  const known = runs.length ? `; the runs are ${list(runs)}` : "; there are no runs yet";
  throw new RetortError("NotFound", `there is no run "${named}"${known}`);
}

function list(runs: readonly Pick<Run, "runId">[]): string {
  const more = runs.length > shownRuns ? `, and ${runs.length - shownRuns} more (retort runs lists them)` : "";
  return runs
    .slice(0, shownRuns)
    .map(({ runId }) => runId)
    .join(", ")
    .concat(more);
}
