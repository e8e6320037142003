import { createHash } from "node:crypto";
import type { RoleSet } from "../launch/launcher.js";

/** Labels of every object and pod that the launcher makes. Network policies and `kubectl -l` select by them. */
export const labels = {
  name: "app.kubernetes.io/name",
  component: "app.kubernetes.io/component",
  managedBy: "app.kubernetes.io/managed-by",
  /** Name of the ConfigMap that owns the run's objects: tells one installation's runs from another's in the same namespace. */
  owner: "retort/owner",
  run: "retort/run",
  teacher: "retort/teacher",
} as const;

/** Value of the label `managed-by`, and the launcher's name as a field manager. */
export const manager = "retort-controller";

/** A set of pods, whatever their number. */
export type PodSet = Pick<RoleSet, "runId" | "role" | "teacher">;

/** The labels of a set of pods and of the object that makes them. */
export const labelsOf = ({ runId, role, teacher }: PodSet, owner: string): Record<string, string> => ({
  [labels.name]: "retort",
  [labels.component]: role,
  [labels.managedBy]: manager,
  [labels.owner]: owner,
  [labels.run]: runId,
  ...(teacher === undefined ? {} : { [labels.teacher]: teacher }),
});

/** Selects everything that belongs to one installation, or to one run of it. */
export const selectorOf = (owner: string, runId?: string): string =>
  [`${labels.managedBy}=${manager}`, `${labels.owner}=${owner}`, ...(runId === undefined ? [] : [`${labels.run}=${runId}`])].join(",");

/** Pods, and KEDA's HPA, add up to eleven characters to the name of what makes them; a label holds 63. */
const longestName = 52;

/** Name of the Job or Deployment of a set of pods: readable, and cut with a digest where it would be too long. */
export function nameOf({ runId, role, teacher }: PodSet): string {
  const name = [runId, role, teacher].filter((part) => part !== undefined).join("-");
  if (name.length <= longestName) return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 8);
  const tail = `-${role}-${digest}`;
  return `${runId.slice(0, longestName - tail.length).replace(/-+$/, "")}${tail}`;
}
