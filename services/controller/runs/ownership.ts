import pLimit from "p-limit";
import { RetortError } from "../../shared/base/errors.js";
import type { Caller } from "../../shared/base/rpc/caller.js";
import { resolveRun } from "../../shared/flow/runs/resolve.js";
import { isOver } from "../../shared/flow/runs/run-store.js";
import { Scope } from "../../shared/gen/retort/v1/access_pb.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import type { ControllerContext } from "./context.js";

type Owned = Pick<Run, "runId" | "owner">;

/** What a caller with a name may do to runs of its own alone, unless its scope is admin. @throws PermissionDenied naming both owners */
export function checkOwner({ runId, owner }: Owned, { name, scope }: Caller, what: string): void {
  if (scope >= Scope.ADMIN || owner === name) return;
  const whose = owner ? `is ${owner}'s` : "has no owner";
  const shown = name ? `this token is ${name}'s` : "this token is no tenant's";
  throw new RetortError(
    "PermissionDenied",
    `run ${runId} ${whose}, and ${shown}: it can't be ${what} with it; ask with its owner's token, or one of scope admin`,
  );
}

/** One at a time, for each owner: two requests at once must not both find the last place free. */
const places = new Map<string, ReturnType<typeof pLimit>>();

/**
 * Takes up a run if its owner's quota has room for it.
 *
 * @param run to be started, or to go on after it was over
 * @throws ResourceExhausted naming the quota, what is used, what is asked for, the limit and the way out
 */
export function withinQuota<T>(context: ControllerContext, run: Pick<Run, "runId" | "owner" | "spec">, take: () => Promise<T>): Promise<T> {
  const { tenants, runs } = context;
  const quota = tenants?.quotaOf(run.owner) ?? {};
  if (quota.runs === undefined && quota.processes === undefined) return take();
  const turn = places.get(run.owner) ?? pLimit(1);
  places.set(run.owner, turn);
  return turn(async () => {
    const going = (await runs.list()).filter(({ owner, state, runId }) => owner === run.owner && !isOver(state) && runId !== run.runId);
    const names = going.map(({ runId }) => runId).join(", ");
    const check = (what: keyof typeof quota, used: number, asked: number, lower: string) => {
      const limit = quota[what];
      if (limit === undefined || used + asked <= limit) return;
      const way = [...(asked > limit ? [] : ["wait until a run is over", "stop one (retort stop RUN)"]), lower, "ask for a larger quota"];
      throw new RetortError(
        "ResourceExhausted",
        `the quota of ${run.owner} is ${limit} ${what} at a time; ${used} are in use${names ? ` (${names})` : ""}, and this run takes ${asked}: ${way.filter(Boolean).join(", ")}`,
      );
    };
    check("runs", going.length, 1, "");
    const processes = going.reduce((sum, one) => sum + processesOf(one), 0);
    check("processes", processes, processesOf(run), "lower its replicas (roles)");
    return take();
  });
}

/** The processes that a run asks for; those of a shared teacher count in each run that it teaches. */
function processesOf({ spec }: Pick<Run, "spec">): number {
  if (!spec) return 0;
  const { replicas, teachers } = resolveRun(spec);
  return replicas.learner + replicas.student + replicas.reward + replicas.teacher * teachers.length;
}
