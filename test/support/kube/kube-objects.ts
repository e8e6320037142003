import {
  ApiextensionsV1Api,
  BatchV1Api,
  CoreV1Api,
  RbacAuthorizationV1Api,
  type V1Job,
  type V1JobCondition,
} from "@kubernetes/client-node";
import { labelsOf, nameOf, type PodSet } from "../../../services/controller/kubernetes/labels.js";
import { type KubeApi, tokens } from "./kube-api.js";

/** The owner of runs, and the rights that services/README.md lists, for the controller's token. */
export async function grantRights(api: KubeApi, namespace: string, owner: string): Promise<void> {
  const config = api.config(tokens.admin);
  const rbac = config.makeApiClient(RbacAuthorizationV1Api);
  const everything = ["get", "list", "watch", "create", "patch", "delete"];
  const rules = [
    { apiGroups: ["batch"], resources: ["jobs"], verbs: everything },
    { apiGroups: ["apps"], resources: ["deployments"], verbs: everything },
    { apiGroups: ["keda.sh"], resources: ["scaledobjects"], verbs: everything },
    { apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch"] },
    { apiGroups: [""], resources: ["configmaps"], resourceNames: [owner], verbs: ["get"] },
  ];
  const metadata = { name: "controller" };
  await rbac.createNamespacedRole({ namespace, body: { metadata, rules } });
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "controller" };
  const subjects = [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "controller" }];
  await rbac.createNamespacedRoleBinding({ namespace, body: { metadata, roleRef, subjects } });
  await config.makeApiClient(CoreV1Api).createNamespacedConfigMap({ namespace, body: { metadata: { name: owner } } });
}

/** Ends a Job as the Job controller does. */
export async function finishJob(api: KubeApi, { metadata }: V1Job, type: "Complete" | "Failed"): Promise<void> {
  const batch = api.config(tokens.admin).makeApiClient(BatchV1Api);
  const { name, namespace } = metadata as { name: string; namespace: string };
  const condition = (which: string): V1JobCondition => ({ type: which, status: "True", lastTransitionTime: new Date() });
  const body = await batch.readNamespacedJobStatus({ name, namespace });
  body.status = {
    startTime: new Date(),
    conditions: [condition(type === "Complete" ? "SuccessCriteriaMet" : "FailureTarget"), condition(type)],
    ...(type === "Complete" ? { succeeded: 1, completionTime: new Date() } : { failed: 1 }),
  };
  await batch.replaceNamespacedJobStatus({ name, namespace, body });
}

/** A pod of a role whose container has ended or waits, as a kubelet reports it. */
export async function makePod(
  api: KubeApi,
  set: PodSet,
  owner: string,
  what: { readonly message: string; readonly exitCode: number } | { readonly message: string; readonly waiting: string },
): Promise<void> {
  const core = api.config(tokens.admin).makeApiClient(CoreV1Api);
  const [namespace, name] = ["default", `${nameOf(set)}-0`];
  const metadata = { name, labels: labelsOf(set, owner) };
  const containers = [{ name: "retort", image: "retort:1" }];
  const body = await core.createNamespacedPod({ namespace, body: { metadata, spec: { containers } } });
  const now = new Date();
  const state =
    "waiting" in what
      ? { waiting: { reason: what.waiting, message: what.message } }
      : { terminated: { ...what, reason: "Error", startedAt: now, finishedAt: now } };
  const container = { name: "retort", image: "retort:1", imageID: "", ready: false, restartCount: 0, state };
  body.status = { phase: "waiting" in what ? "Pending" : "Failed", containerStatuses: [container] };
  await core.replaceNamespacedPodStatus({ name, namespace, body });
}

const [string, integer] = [{ type: "string" }, { type: "integer" }];

/** The fields of KEDA's ScaledObject that we use, typed as its CRD types them: any other one is refused. */
const scaledObjectSpec = {
  type: "object",
  required: ["scaleTargetRef", "triggers"],
  properties: {
    scaleTargetRef: { type: "object", required: ["name"], properties: { name: string } },
    minReplicaCount: integer,
    maxReplicaCount: integer,
    pollingInterval: integer,
    cooldownPeriod: integer,
    advanced: {
      type: "object",
      properties: { scalingModifiers: { type: "object", properties: { formula: string, target: string } } },
    },
    triggers: {
      type: "array",
      items: {
        type: "object",
        required: ["type", "metadata"],
        properties: { type: string, name: string, metadata: { type: "object", additionalProperties: string } },
      },
    },
  },
};

/** The kind that KEDA brings, without KEDA. */
export async function installKeda(api: KubeApi): Promise<void> {
  const schema = { type: "object", properties: { spec: scaledObjectSpec } };
  await api
    .config(tokens.admin)
    .makeApiClient(ApiextensionsV1Api)
    .createCustomResourceDefinition({
      body: {
        metadata: { name: "scaledobjects.keda.sh" },
        spec: {
          group: "keda.sh",
          scope: "Namespaced",
          names: { kind: "ScaledObject", plural: "scaledobjects" },
          versions: [{ name: "v1alpha1", served: true, storage: true, schema: { openAPIV3Schema: schema } }],
        },
      },
    });
}
