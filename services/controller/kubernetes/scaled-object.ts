import type { KubernetesObject } from "@kubernetes/client-node";
import { found } from "../../shared/base/found.js";
import { durables, streamNames } from "../../shared/flow/streams.js";
import type { RoleSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { RoleSet } from "../launch/launcher.js";
import type { Scaling } from "../launch/scaling.js";
import { kinds } from "./cluster.js";
import { nameOf, type PodSet } from "./labels.js";
import { type ManifestContext, metadataOf, type Owner } from "./manifests.js";

/** Where KEDA asks NATS for the length of a queue. */
export interface QueueMonitor extends Scaling {
  /** host:port of the monitoring endpoint. */
  readonly address: string;
  readonly account: string;
}

interface ScaledObject extends KubernetesObject {
  readonly spec: Readonly<Record<string, unknown>>;
}

/** KEDA's object that makes a role's Deployment follow the lag of its consumers, from none to the set's replicas. */
export function scaledObject(
  set: RoleSet,
  spec: RoleSpec | undefined,
  context: ManifestContext,
  owner: Owner,
  monitor: QueueMonitor,
): ScaledObject {
  const { cooldownSeconds } = monitor;
  return following(set, metadataOf(set, spec, context, owner), monitor, {
    maxReplicaCount: set.replicas,
    cooldownPeriod: cooldownSeconds,
    triggers: queuesOf(set).map((queue) => triggerOf(queue, monitor)),
  });
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
  spec: RoleSpec | undefined,
  context: ManifestContext,
  owner: Owner,
  monitor: QueueMonitor,
): ScaledObject {
  const set = { role: "teacher", poolKey: pool } as const;
  const triggers = members.flatMap(queuesOf).map((queue, i) => ({ name: `queue_${i}`, ...triggerOf(queue, monitor) }));
  return following(set, metadataOf(set, spec, context, owner), monitor, {
    maxReplicaCount: Math.max(...members.map(({ replicas }) => replicas)),
    cooldownPeriod: Math.max(...members.map((member) => Math.ceil((member.pool?.keepWarmMs ?? 0) / 1000))),
    // By itself KEDA follows the longest of several queues.
    advanced: {
      scalingModifiers: { formula: triggers.map(({ name }) => name).join(" + "), target: String(monitor.tasksPerPod) },
    },
    triggers,
  });
}

/** The object for a set's Deployment. @param own what it follows, and how far */
function following(
  set: PodSet,
  metadata: ScaledObject["metadata"],
  { pollingSeconds }: QueueMonitor,
  own: Readonly<Record<string, unknown>>,
): ScaledObject {
  const { apiVersion, kind } = kinds.scaledObject;
  const spec = { scaleTargetRef: { name: nameOf(set) }, minReplicaCount: 0, pollingInterval: pollingSeconds, ...own };
  return { apiVersion, kind, metadata, spec };
}

interface Queue {
  readonly stream: string;
  readonly consumer: string;
}

const triggerOf = ({ stream, consumer }: Queue, { address, account, tasksPerPod }: QueueMonitor) => ({
  type: "nats-jetstream",
  metadata: { natsServerMonitoringEndpoint: address, account, stream, consumer, lagThreshold: String(tasksPerPod) },
});

/** The queues that a role works on. */
function queuesOf({ runId, role, teacher }: RoleSet): readonly Queue[] {
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
