import { create } from "@bufbuild/protobuf";
import { Cluster } from "../../services/controller/kubernetes/cluster.js";
import { KubernetesLauncher } from "../../services/controller/kubernetes/launcher.js";
import { parsePodTemplates } from "../../services/controller/kubernetes/pod-template.js";
import { createLog } from "../../services/shared/base/log.js";
import { RunSchema } from "../../services/shared/gen/retort/v1/run_pb.js";
import { eventually } from "../support/servers/nats.js";
import { RecordingApiServer } from "./support/api-server.js";
import { describeChart, find, type Manifest, render, roleTemplatesText } from "./support/render.js";

interface Rule {
  readonly apiGroups: readonly [string];
  readonly resources: readonly [string];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

const rulesOf = (manifests: readonly Manifest[]): Rule[] => find(manifests, "Role", "retort-controller").rules;

const rightsOf = (rules: readonly Rule[]): string[] =>
  rules.flatMap(({ apiGroups: [group], resources: [resource], verbs }) =>
    verbs.map((verb) => `${verb} ${group === "" ? "" : `${group}/`}${resource}`),
  );

/** What a launcher does in the life of a run, and of a second one that is adopted. */
async function rightsNeeded(manifests: readonly Manifest[]): Promise<Set<string>> {
  const api = new RecordingApiServer();
  await api.start();
  const owner = find(manifests, "ConfigMap", "retort-roles");
  api.put(`/api/v1/namespaces/distill/configmaps/${owner.metadata.name}`, { ...owner, metadata: { ...owner.metadata, uid: "owner" } });
  const launcher = new KubernetesLauncher({
    cluster: new Cluster(api.config, "distill"),
    templates: parsePodTemplates(roleTemplatesText(manifests), "roles.yaml"),
    owner: owner.metadata.name,
    maxRestarts: 3,
    monitor: { address: "retort-nats.distill.svc:8222", account: "$G" },
    log: createLog("test", { level: "silent", format: "json" }),
  });
  const run = create(RunSchema, { runId: "run", spec: { name: "run" } });
  const sets = [
    { runId: "run", role: "learner", replicas: 1 },
    { runId: "run", role: "student", replicas: 2 },
    { runId: "run", role: "teacher", teacher: "default", replicas: 1 },
    { runId: "run", role: "teacher", teacher: "shared", replicas: 1, pool: { key: "abc", keepWarmMs: 0 } },
    { runId: "run", role: "reward", replicas: 1 },
  ] as const;
  try {
    await launcher.launch(run, sets);
    await launcher.watch({ ended: async () => {}, delayed: async () => {} });
    await eventually("jobs and pods are watched", () => ["watch batch/jobs", "watch pods"].every((right) => api.needed.has(right)));
    await launcher.launch(run, sets);
    await launcher.stop("run");
    await eventually("the pool has gone", () => api.needed.has("delete apps/deployments"));
  } finally {
    await launcher.close();
    await api.stop();
  }
  return api.needed;
}

describeChart("the controller's rights", () => {
  it("are what the launcher uses, and nothing else", async () => {
    const manifests = await render();
    expect(rightsOf(rulesOf(manifests)).sort()).toEqual([...(await rightsNeeded(manifests))].sort());
  });

  it("reach of the ConfigMaps only the one that owns the runs, and of KEDA's objects none without scaling", async () => {
    const configMaps = rulesOf(await render()).filter(({ resources: [resource] }) => resource === "configmaps");
    expect(configMaps).toEqual([{ apiGroups: [""], resources: ["configmaps"], resourceNames: ["retort-roles"], verbs: ["get"] }]);
    expect(rightsOf(rulesOf(await render({ set: ["autoscaling.enabled=false"] }))).join()).not.toContain("keda");
  });

  it("are to label its own pod where several controllers wait for the lead, and there alone", async () => {
    const several = ["controller.replicas=2", `data.accessModes=["ReadWriteMany"]`];
    const alone = rightsOf(rulesOf(await render()));
    const added = rightsOf(rulesOf(await render({ set: several }))).filter((right) => !alone.includes(right));
    expect(added).toEqual(["patch pods"]);
  });

  it("end at the namespace, and are the controller's alone", async () => {
    const { roleRef, subjects } = find(await render(), "RoleBinding", "retort-controller");
    expect(roleRef).toMatchObject({ kind: "Role", name: "retort-controller" });
    expect(subjects).toEqual([{ kind: "ServiceAccount", name: "retort-controller", namespace: "distill" }]);
  });
});
