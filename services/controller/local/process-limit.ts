import { availableParallelism } from "node:os";
import { counted } from "../../shared/base/counted.js";
import { RetortError } from "../../shared/base/errors.js";
import type { RoleSet } from "../launch/launcher.js";

/** Processes of one run that a machine may be asked for, per core. */
const perCore = 8;

/** Refuses a run of more processes than a machine of so many cores can run. @throws InvalidArgument with the figures and the way out */
export function checkProcesses(sets: readonly RoleSet[], cores: number = availableParallelism()): void {
  const wanted = sets.reduce((sum, { replicas }) => sum + replicas, 0);
  // A small machine runs a small run of every role all the same.
  const most = Math.max(32, perCore * cores);
  if (wanted <= most) return;
  throw new RetortError(
    "InvalidArgument",
    `the run asks for ${counted(wanted, "process", "processes")}, and this machine of ${counted(cores, "core")} runs at most ${most} of one run; ask for fewer roles.*.replicas, or run it in a cluster (--launcher=kubernetes)`,
    { fieldPath: "roles" },
  );
}
