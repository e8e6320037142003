import { createHash } from "node:crypto";
import type { KubernetesObject } from "@kubernetes/client-node";
import { found } from "../../shared/base/found.js";
import type { RoleName } from "../../shared/flow/runs/resolve.js";
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
  /** Of a teacher that runs share, in place of run and teacher. */
  pool: "retort/pool",
} as const;

/** Value of the label `managed-by`, and the launcher's name as a field manager. */
export const manager = "retort-controller";

/** A set of pods of a run, whatever their number. */
export type RunPods = Pick<RoleSet, "runId" | "role" | "teacher" | "fetches">;

/** The pods of a teacher that runs share. */
export interface PoolPods {
  readonly role: "teacher";
  readonly poolKey: string;
  readonly fetches?: RoleSet["fetches"];
}

/** A set of pods: a run's, or a pool's. */
export type PodSet = RunPods | PoolPods;

const roles = ["learner", "reward", "student", "teacher"] as const satisfies readonly RoleName[];

/** The run's pods that an object belongs to, by its labels. @throws Internal for one that the launcher did not make */
export function podSetOf({ metadata }: KubernetesObject): RunPods {
  const { [labels.run]: runId, [labels.component]: component, [labels.teacher]: teacher } = metadata?.labels ?? {};
  const role = roles.find((one) => one === component);
  return { runId: found(runId, `the label ${labels.run}`), role: found(role, `the label ${labels.component}`), teacher };
}

/** What the API server gives every object. @throws Internal for one that has never been there */
export const identityOf = ({ kind, metadata }: KubernetesObject): { readonly name: string; readonly uid: string } => ({
  name: found(metadata?.name, `the name of ${kind ?? "an object"}`),
  uid: found(metadata?.uid, `the uid of ${kind ?? "an object"}`),
});

/** The labels of a set of pods and of the object that makes them. */
export const labelsOf = (set: PodSet, owner: string): Record<string, string> => ({
  [labels.name]: "retort",
  [labels.managedBy]: manager,
  [labels.owner]: owner,
  ...ownLabelsOf(set),
});

/** The labels that tell a set's pods from all others of the installation. */
export function ownLabelsOf(set: PodSet): Record<string, string> {
  const component = { [labels.component]: set.role };
  if ("poolKey" in set) return { ...component, [labels.pool]: set.poolKey };
  const { runId, teacher } = set;
  return { ...component, [labels.run]: runId, ...(teacher === undefined ? {} : { [labels.teacher]: teacher }) };
}

/** Selects everything that belongs to one installation, or to one run of it. */
export const selectorOf = (owner: string, runId?: string): string =>
  [`${labels.managedBy}=${manager}`, `${labels.owner}=${owner}`, ...(runId === undefined ? [] : [`${labels.run}=${runId}`])].join(",");

/** Pods, and KEDA's HPA, add up to eleven characters to the name of what makes them; a label holds 63. */
const longestName = 52;

/** Name of the Job or Deployment of a set of pods: readable, and a run's cut with a digest where it would be too long. */
export function nameOf(set: PodSet): string {
  if ("poolKey" in set) return `pool-${set.poolKey}`;
  const { runId, role, teacher } = set;
  const name = [runId, role, teacher].filter((part) => part !== undefined).join("-");
  if (name.length <= longestName) return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 8);
  const tail = `-${role}-${digest}`;
  return `${runId.slice(0, longestName - tail.length).replace(/-+$/, "")}${tail}`;
}
