import type { KubernetesObject } from "@kubernetes/client-node";
import { found } from "../../shared/base/found.js";
import { durables, streamNames } from "../../shared/flow/streams.js";
import type { RoleSet } from "../launch/launcher.js";
import { kinds } from "./cluster.js";
import { nameOf } from "./labels.js";
import { type ManifestContext, metadataOf, type Owner } from "./manifests.js";

/** Where KEDA asks NATS for the length of a queue. */
export interface QueueMonitor {
  /** host:port of the monitoring endpoint. */
  readonly address: string;
  readonly account: string;
}

/** Tasks (waiting or in hand) per pod: what a process takes at once. */
const tasksPerPod = 2;

/** How often the queues are looked at. */
const pollingSeconds = 5;

/** How long a role may be idle before its last pod goes: longer than a train step, shorter than a GPU hour hurts. */
const cooldownSeconds = 120;

interface ScaledObject extends KubernetesObject {
  readonly spec: Readonly<Record<string, unknown>>;
}

/** KEDA's object that makes a role's Deployment follow the lag of its consumers, from none to the set's replicas. */
export function scaledObject(set: RoleSet, context: ManifestContext, owner: Owner, { address, account }: QueueMonitor): ScaledObject {
  const { apiVersion, kind } = kinds.scaledObject;
  return {
    apiVersion,
    kind,
    metadata: metadataOf(set, context, owner),
    spec: {
      scaleTargetRef: { name: nameOf(set) },
      minReplicaCount: 0,
      maxReplicaCount: set.replicas,
      pollingInterval: pollingSeconds,
      cooldownPeriod: cooldownSeconds,
      triggers: queuesOf(set).map(({ stream, consumer }) => ({
        type: "nats-jetstream",
        metadata: { natsServerMonitoringEndpoint: address, account, stream, consumer, lagThreshold: String(tasksPerPod) },
      })),
    },
  };
}

/**
 * KEDA's object that makes a pool's Deployment follow the sum of its runs' queues, from none to the most replicas that one of them
 * asks for.
 *
 * @param members the sets that share it, at least one
 */
export function pooledScaledObject(
  pool: string,
  members: readonly RoleSet[],
  context: ManifestContext,
  owner: Owner,
  { address, account }: QueueMonitor,
): ScaledObject {
  const { apiVersion, kind } = kinds.scaledObject;
  const set = { role: "teacher", poolKey: pool } as const;
  const queues = members.flatMap(queuesOf).map((queue, i) => ({ ...queue, name: `queue_${i}` }));
  return {
    apiVersion,
    kind,
    metadata: metadataOf(set, context, owner),
    spec: {
      scaleTargetRef: { name: nameOf(set) },
      minReplicaCount: 0,
      maxReplicaCount: Math.max(...members.map(({ replicas }) => replicas)),
      pollingInterval: pollingSeconds,
      cooldownPeriod: Math.max(...members.map((member) => Math.ceil((member.pool?.keepWarmMs ?? 0) / 1000))),
      // By itself KEDA follows the longest of several queues.
      advanced: { scalingModifiers: { formula: queues.map(({ name }) => name).join(" + "), target: String(tasksPerPod) } },
      triggers: queues.map(({ stream, consumer, name }) => ({
        type: "nats-jetstream",
        name,
        metadata: { natsServerMonitoringEndpoint: address, account, stream, consumer, lagThreshold: String(tasksPerPod) },
      })),
    },
  };
}

/** The queues that a role works on. */
function queuesOf({ runId, role, teacher }: RoleSet): readonly { stream: string; consumer: string }[] {
  switch (role) {
    case "student":
      return [{ stream: streamNames.prompts, consumer: durables.student(runId) }];
    case "teacher": {
      const name = found(teacher, "the name of a set of teachers");
      return [
        { stream: streamNames.rollouts, consumer: durables.teacher(runId, name) },
        { stream: streamNames.prompts, consumer: durables.writer(runId, name) },
      ];
    }
    case "reward":
      return [{ stream: streamNames.rollouts, consumer: durables.reward(runId) }];
    case "learner":
      return [];
  }
}
