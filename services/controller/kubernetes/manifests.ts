import type { V1Container, V1Deployment, V1Job, V1OwnerReference, V1PodSpec, V1PodTemplateSpec } from "@kubernetes/client-node";
import type { RoleSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { askedToLeave, type Fetch, hopelessExits, type RoleSet } from "../launch/launcher.js";
import { away, killed } from "../launch/restarts.js";
import { roleFlags } from "../launch/role-flags.js";
import { labelsOf, nameOf, ownLabelsOf, type PodSet } from "./labels.js";
import { containerName, fetchName, type PodTemplates, templateOf } from "./pod-template.js";

/** What a run's objects are made from, besides the run. */
export interface ManifestContext {
  readonly namespace: string;
  readonly templates: PodTemplates;
  /** Value of the owner label. */
  readonly owner: string;
}

/** What an object is owned by: it goes when its owner goes. */
export type Owner = Pick<V1OwnerReference, "apiVersion" | "kind" | "name" | "uid">;

/** A learner that ended stays for its log until the controller has removed it, and no longer than this without one. */
const ttlSecondsAfterFinished = 24 * 3600;

/** The controller counts a learner's crashes, in a window of time; a Job's own count is of its whole life. */
const backoffLimit = 1_000_000;

/** Exit codes after which a learner is replaced and that count as no failure, in rising order as a Job wants them. */
const passing: readonly number[] = [...askedToLeave, ...away, killed].sort((a, b) => a - b);

/**
 * The learner of a run: a Job, so that there is one at a time, and a new one only when the old one is gone. A bad input
 * fails it at once; a pod that was asked to leave, preempted or killed, or that could not
 * reach what it needs, is replaced and counts as no failure. So it is with what fetches for it.
 *
 * @param suspend true for one that has no pod until it is let go on
 */
export function learnerJob(
  set: RoleSet,
  spec: RoleSpec | undefined,
  context: ManifestContext,
  owner: Owner | undefined,
  suspend = false,
): V1Job {
  const template = podTemplateOf(set, spec, context, "Never");
  const ran = [containerName, ...fetchersOf(template.spec).map(({ name }) => name)];
  const onExit = (action: string, values: readonly number[]) =>
    ran.map((name) => ({ action, onExitCodes: { containerName: name, operator: "In", values: [...values] } }));
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: metadataOf(set, spec, context, owner),
    spec: {
      suspend,
      backoffLimit,
      podReplacementPolicy: "Failed",
      ttlSecondsAfterFinished,
      podFailurePolicy: {
        rules: [
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
          ...onExit("Ignore", passing),
          ...onExit("FailJob", hopelessExits),
        ],
      },
      template,
    },
  };
}

/** The pods of a role that takes tasks from a queue: a Deployment. Without `replicas` an autoscaler decides how many. */
export function roleDeployment(
  set: PodSet,
  spec: RoleSpec | undefined,
  context: ManifestContext,
  owner: Owner | undefined,
  replicas: number | undefined,
): V1Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadataOf(set, spec, context, owner),
    spec: {
      ...(replicas === undefined ? {} : { replicas }),
      // A task that a lost pod had comes back by itself, and a node may not hold one pod more.
      strategy: { type: "Recreate" },
      selector: { matchLabels: ownLabelsOf(set) },
      template: podTemplateOf(set, spec, context, "Always"),
    },
  };
}

/** Name, labels and owner of an object of a run or a pool; its pods' labels and annotations are its own, too: quotas and costs go by them. */
export function metadataOf(
  set: PodSet,
  spec: RoleSpec | undefined,
  { namespace, owner: label, templates }: ManifestContext,
  owner: Owner | undefined,
) {
  const { labels: further, annotations } = templateOf(templates, set.role, spec?.profile).metadata ?? {};
  return {
    name: nameOf(set),
    namespace,
    labels: { ...further, ...labelsOf(set, label) },
    ...(annotations ? { annotations } : {}),
    // Not `blockOwnerDeletion`: it needs rights over the owner's finalizers, and nothing here waits for it.
    ...(owner ? { ownerReferences: [{ apiVersion: owner.apiVersion, kind: owner.kind, name: owner.name, uid: owner.uid }] } : {}),
  };
}

function podTemplateOf(
  set: PodSet,
  spec: RoleSpec | undefined,
  { templates, owner }: ManifestContext,
  restartPolicy: "Always" | "Never",
): V1PodTemplateSpec {
  const { metadata, spec: pod } = templateOf(templates, set.role, spec?.profile);
  return {
    metadata: { ...metadata, labels: { ...metadata?.labels, ...labelsOf(set, owner) } },
    spec: {
      // A Service named `retort` would otherwise put RETORT_PORT=tcp://… into every pod's environment.
      enableServiceLinks: false,
      ...pod,
      restartPolicy,
      ...(pod.initContainers && { initContainers: initContainersOf(pod.initContainers, set) }),
      containers: pod.containers.map((container) => (container.name === containerName ? roleContainer(container, set, spec) : container)),
    },
  };
}

/** A pod's init containers that fetch. */
const fetchersOf = (pod: V1PodSpec | undefined): readonly V1Container[] =>
  (pod?.initContainers ?? []).filter(({ name }) => name === fetchName || name === configsName);

/** Fetches what comes without its weights. */
const configsName = `${fetchName}-configs`;

/** A template's init containers, with what the one that fetches is to fetch; without it where there is nothing. */
function initContainersOf(containers: readonly V1Container[], { fetches = [] }: PodSet): V1Container[] {
  const fetching = (container: V1Container, which: readonly Fetch[], name: string, ...flags: readonly string[]): V1Container[] => {
    if (which.length === 0) return [];
    const bases = which.flatMap(({ base }) => (base ? [base] : []));
    const args = ["fetch", ...which.map(({ reference }) => reference), "--at", ...which.map(({ path }) => path), ...flags];
    if (bases.length > 0) args.push("--bases", ...bases);
    return [{ terminationMessagePolicy: "FallbackToLogsOnError", ...container, name, args }];
  };
  return containers.flatMap((container) => {
    if (container.name !== fetchName) return [container];
    const [whole, configs] = [fetches.filter((one) => !one.withoutWeights), fetches.filter((one) => one.withoutWeights)];
    return [...fetching(container, whole, fetchName), ...fetching(container, configs, configsName, "--without-weights")];
  });
}

function roleContainer(container: V1Container, set: PodSet, spec: RoleSpec | undefined): V1Container {
  const { role } = set;
  const flags: Readonly<Record<string, string | number | undefined>> = {
    role,
    ...("poolKey" in set ? { pool: set.poolKey } : { run: set.runId, teacher: set.teacher }),
    ...roleFlags(role, spec),
  };
  const own = Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
  return {
    // The last lines of the log are then the reason that the run's record gives.
    terminationMessagePolicy: "FallbackToLogsOnError",
    ...container,
    args: [...own, ...(container.args ?? [])],
  };
}
