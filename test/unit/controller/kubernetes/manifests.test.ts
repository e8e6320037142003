import { create } from "@bufbuild/protobuf";
import { labelsOf, nameOf, selectorOf } from "../../../../services/controller/kubernetes/labels.js";
import { learnerJob, type ManifestContext, roleDeployment } from "../../../../services/controller/kubernetes/manifests.js";
import { scaledObject } from "../../../../services/controller/kubernetes/scaled-object.js";
import type { RoleSet } from "../../../../services/controller/launch/launcher.js";
import { errorTable } from "../../../../services/shared/base/errors.js";
import { RoleSpecSchema } from "../../../../services/shared/gen/retort/v1/run_spec_pb.js";

const runId = "num2words-251125-101112-abc";
const learner: RoleSet = { runId, role: "learner", replicas: 1 };
const student: RoleSet = { runId, role: "student", replicas: 3 };
// As the supervisor names a teacher that no other run shares.
const teacher: RoleSet = { runId, role: "teacher", teacher: "math", replicas: 2, pool: undefined };
const owner = { apiVersion: "batch/v1", kind: "Job", name: "j", uid: "u-1" };

const template = {
  metadata: { labels: { team: "ml", "app.kubernetes.io/component": "wrong" }, annotations: { note: "kept" } },
  spec: {
    serviceAccountName: "retort-role",
    nodeSelector: { gpu: "h100" },
    restartPolicy: "OnFailure",
    containers: [
      { name: "proxy", image: "proxy:1" },
      { name: "retort", image: "retort:1", args: ["--log-level=debug"], resources: { limits: { "nvidia.com/gpu": "1" } } },
    ],
  },
};
const context: ManifestContext = {
  namespace: "training",
  templates: { learner: template, reward: template, student: template, teacher: template },
  owner: "release",
};

describe("learnerJob()", () => {
  const job = learnerJob(learner, undefined, context, owner);

  it("replaces a pod only when it is gone, and never starts a container again in it", () => {
    expect(job.spec).toMatchObject({ podReplacementPolicy: "Failed", template: { spec: { restartPolicy: "Never" } } });
  });

  it("leaves the counting of crashes, which is in a window of time, to the controller", () => {
    expect(job.spec!.backoffLimit).toBeGreaterThan(1000);
  });

  it("fails at once on a code that says the input is bad, and on no other", () => {
    const rules = job.spec!.podFailurePolicy!.rules;
    const fails = rules.find(({ action }) => action === "FailJob")!.onExitCodes!.values;
    const bad = Object.values(errorTable).filter(({ disposition, retry }) => disposition === "terminate" && retry === "never");
    expect(new Set(fails)).toEqual(new Set([...bad.map(({ exit }) => exit), errorTable.PermissionDenied.exit]));
  });

  it("counts neither a preemption, nor a request to leave, nor a kill, nor what is away as a failure", () => {
    const ignored = job.spec!.podFailurePolicy!.rules.filter(({ action }) => action === "Ignore");
    expect(ignored.map(({ onPodConditions }) => onPodConditions?.[0]?.type)).toContain("DisruptionTarget");
    expect(ignored.flatMap(({ onExitCodes }) => onExitCodes?.values ?? [])).toEqual([
      errorTable.Unavailable.exit,
      errorTable.Aborted.exit,
      errorTable.Cancelled.exit,
      128 + 9,
      128 + 15,
    ]);
  });
});

describe("metadataOf()", () => {
  it("gives an object what its pods have, and the launcher's labels over it", () => {
    const mine = { ...template, metadata: { labels: { team: "research", "retort/run": "another" }, annotations: { cost: "42" } } };
    const { metadata } = learnerJob(learner, undefined, { ...context, templates: { ...context.templates, learner: mine } }, owner);
    expect(metadata).toMatchObject({ labels: { team: "research", "retort/run": runId }, annotations: { cost: "42" } });
  });
});

describe("roleDeployment()", () => {
  const deployment = roleDeployment(teacher, create(RoleSpecSchema, { device: "cuda", threads: 4 }), context, owner, 2);
  const pod = deployment.spec!.template;

  it("tells the container its role by flags before its own arguments", () => {
    expect(pod.spec!.containers[1]!.args).toEqual([
      "--role=teacher",
      `--run=${runId}`,
      "--teacher=math",
      "--device=cuda",
      "--threads=4",
      "--log-level=debug",
    ]);
  });

  it("leaves everything else of the pod to the template", () => {
    expect(pod.metadata!.annotations).toEqual({ note: "kept" });
    expect(pod.metadata!.labels).toEqual({ team: "ml", ...labelsOf(teacher, "release") });
    expect(pod.spec).toMatchObject({ serviceAccountName: "retort-role", nodeSelector: { gpu: "h100" } });
    expect(pod.spec!.containers[0]).toEqual({ name: "proxy", image: "proxy:1" });
    expect(pod.spec!.containers[1]!.resources).toEqual({ limits: { "nvidia.com/gpu": "1" } });
  });

  it("keeps Services out of the environment and restarts what crashes", () => {
    expect(pod.spec).toMatchObject({ enableServiceLinks: false, restartPolicy: "Always" });
  });

  it("belongs to its owner and selects its own pods", () => {
    expect(deployment.metadata!.ownerReferences).toEqual([owner]);
    expect(pod.metadata!.labels).toMatchObject(deployment.spec!.selector.matchLabels!);
    const other = labelsOf({ ...teacher, teacher: "code" }, "release");
    expect(other).not.toMatchObject(deployment.spec!.selector.matchLabels!);
  });
});

describe("scaledObject()", () => {
  const monitor = { address: "nats:8222", account: "$G" };

  it("follows both queues of a teacher from none to the spec's replicas", () => {
    const { spec } = scaledObject(teacher, context, owner, monitor);
    expect(spec).toMatchObject({ scaleTargetRef: { name: nameOf(teacher) }, minReplicaCount: 0, maxReplicaCount: 2 });
    expect((spec.triggers as { metadata: object }[]).map(({ metadata }) => metadata)).toMatchObject([
      { stream: "RETORT_ROLLOUTS", consumer: `teacher-${runId}-math`, natsServerMonitoringEndpoint: "nats:8222" },
      { stream: "RETORT_PROMPTS", consumer: `writer-${runId}-math` },
    ]);
  });

  it("follows the prompts for a student and the rollouts for a reward", () => {
    const queue = (set: RoleSet) => scaledObject(set, context, owner, monitor).spec.triggers as { metadata: object }[];
    expect(queue(student)).toMatchObject([{ metadata: { stream: "RETORT_PROMPTS", consumer: `student-${runId}` } }]);
    expect(queue({ ...student, role: "reward" })).toMatchObject([{ metadata: { stream: "RETORT_ROLLOUTS", consumer: `reward-${runId}` } }]);
  });
});

describe("nameOf()", () => {
  it("is readable while it is short", () => {
    expect(nameOf(teacher)).toBe(`${runId}-teacher-math`);
  });

  it("leaves room for what Kubernetes appends, and stays one of a kind", () => {
    const long = `${"a".repeat(41)}-251125-101112-abc`;
    const names = ["math", "code"].map((name) => nameOf({ runId: long, role: "teacher", teacher: name }));
    for (const name of names) expect(name).toMatch(/^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])$/);
    expect(new Set(names).size).toBe(2);
  });
});

describe("selectorOf()", () => {
  it("selects an installation, or one run of it", () => {
    expect(selectorOf("release")).toBe("app.kubernetes.io/managed-by=retort-controller,retort/owner=release");
    expect(selectorOf("release", "r")).toBe(`${selectorOf("release")},retort/run=r`);
  });
});
