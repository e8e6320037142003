import { create } from "@bufbuild/protobuf";
import { labelsOf, nameOf, selectorOf } from "../../../../services/controller/kubernetes/labels.js";
import { learnerJob, type ManifestContext, roleDeployment } from "../../../../services/controller/kubernetes/manifests.js";
import { scaledObject } from "../../../../services/controller/kubernetes/scaled-object.js";
import type { RoleSet } from "../../../../services/controller/launch/launcher.js";
import { defaultScaling } from "../../../../services/controller/launch/scaling.js";
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

describe("a role whose models lie elsewhere", () => {
  const fetching = {
    name: "retort-fetch",
    image: "retort:1",
    command: ["node", "dist/services/cli.js"],
    env: [{ name: "HF_TOKEN", value: "t" }],
  };
  const able = { ...template, spec: { ...template.spec, initContainers: [{ name: "own", image: "own:1" }, fetching] } };
  const templates = { learner: able, reward: able, student: able, teacher: able };
  const commit = "0123456789abcdef0123456789abcdef01234567";
  const path = `/cache/huggingface/hub/models--a--b/snapshots/${commit}`;
  const fetches = [
    { reference: `hf://a/b@${commit}`, path, withoutWeights: false },
    { reference: "s3://bucket/rows.jsonl", path: "/cache/retort/s3/aws/bucket/snapshots/1/rows.jsonl", withoutWeights: false },
  ];
  const initOf = (set: RoleSet) => roleDeployment(set, undefined, { ...context, templates }, owner, 1).spec?.template.spec?.initContainers;

  it("has them fetched before it starts, by the template's container", () => {
    const paths = fetches.map((one) => one.path);
    expect(initOf({ ...teacher, fetches })).toEqual([
      { name: "own", image: "own:1" },
      {
        ...fetching,
        terminationMessagePolicy: "FallbackToLogsOnError",
        args: ["fetch", `hf://a/b@${commit}`, "s3://bucket/rows.jsonl", "--at", ...paths],
      },
    ]);
  });

  it("fetches without weights what is read for its tokenizer alone, in a container of its own", () => {
    const [whole, configs] = fetches.map((one, i) => ({ ...one, withoutWeights: i === 1 }));
    const made = initOf({ ...teacher, fetches: [whole!, configs!] });
    expect(made?.map(({ name }) => name)).toEqual(["own", "retort-fetch", "retort-fetch-configs"]);
    expect(made?.at(-1)?.args).toEqual(["fetch", configs!.reference, "--at", configs!.path, "--without-weights"]);
  });

  it("has no such container where there is nothing to fetch", () => {
    expect(initOf(teacher)).toEqual([{ name: "own", image: "own:1" }]);
    expect(initOf({ ...teacher, fetches: [] })).toEqual([{ name: "own", image: "own:1" }]);
  });

  it("has a learner replaced or given up by how its fetch ends, as by how it ends itself", () => {
    const rules = (set: RoleSet) => learnerJob(set, undefined, { ...context, templates }, owner).spec?.podFailurePolicy?.rules ?? [];
    const ends = (set: RoleSet) =>
      rules(set).flatMap(({ action, onExitCodes }) => (onExitCodes ? [[action, onExitCodes.containerName]] : []));
    expect(ends({ ...learner, fetches })).toEqual([
      ["Ignore", "retort"],
      ["Ignore", "retort-fetch"],
      ["FailJob", "retort"],
      ["FailJob", "retort-fetch"],
    ]);
    // A rule about a container that a pod hasn't got is refused.
    expect(ends(learner).map(([, name]) => name)).toEqual(["retort", "retort"]);
  });
});

describe("a role with a profile", () => {
  const gpu = { ...template, metadata: { labels: { team: "gpu" } }, spec: { ...template.spec, nodeSelector: { gpu: "a100" } } };
  const templates = { ...context.templates, profiles: { a100: { ...context.templates, learner: gpu, teacher: gpu } } };
  const spec = create(RoleSpecSchema, { profile: "a100" });

  it("has that profile's pods, and its objects their labels", () => {
    const job = learnerJob(learner, spec, { ...context, templates }, owner);
    const deployment = roleDeployment(teacher, spec, { ...context, templates }, owner, 1);
    for (const { metadata, spec: made } of [job, deployment]) {
      expect(metadata!.labels!.team).toBe("gpu");
      expect(made!.template.spec!.nodeSelector).toEqual({ gpu: "a100" });
    }
    expect(roleDeployment(student, undefined, { ...context, templates }, owner, 1).spec!.template.spec!.nodeSelector).toEqual({
      gpu: "h100",
    });
  });
});

describe("scaledObject()", () => {
  const monitor = { address: "nats:8222", account: "$G", ...defaultScaling };

  it("follows both queues of a teacher from none to the spec's replicas", () => {
    const { spec } = scaledObject(teacher, undefined, context, owner, monitor);
    expect(spec).toMatchObject({ scaleTargetRef: { name: nameOf(teacher) }, minReplicaCount: 0, maxReplicaCount: 2 });
    expect((spec.triggers as { metadata: object }[]).map(({ metadata }) => metadata)).toMatchObject([
      { stream: "RETORT_ROLLOUTS", consumer: `teacher-${runId}-math`, natsServerMonitoringEndpoint: "nats:8222" },
      { stream: "RETORT_PROMPTS", consumer: `writer-${runId}-math` },
    ]);
  });

  it("follows the prompts for a student and the rollouts for a reward", () => {
    const queue = (set: RoleSet) => scaledObject(set, undefined, context, owner, monitor).spec.triggers as { metadata: object }[];
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
