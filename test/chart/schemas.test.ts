import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { stringify } from "yaml";
import { learnerJob, roleDeployment } from "../../services/controller/kubernetes/manifests.js";
import { parsePodTemplates } from "../../services/controller/kubernetes/pod-template.js";
import { scaledObject } from "../../services/controller/kubernetes/scaled-object.js";
import { findGoTool, kubeconform } from "../support/tools/go-tool.js";
import { describeChart, examples, type Manifest, render, roleTemplatesText } from "./support/render.js";
import { schemaLocation } from "./support/schemas.js";

const run = promisify(execFile);

/** What kubeconform finds wrong with manifests, and how many it found right. A kind without a schema is wrong. */
async function validate(manifests: readonly unknown[]): Promise<{ valid: number; problems: string[] }> {
  const binary = await findGoTool(kubeconform);
  const checking = run(binary!, ["-strict", "-output", "json", "-verbose", "-schema-location", schemaLocation()], { maxBuffer: 1 << 26 });
  checking.child.stdin!.end(manifests.map((manifest) => stringify(manifest)).join("---\n"));
  const { stdout } = await checking.catch((error: { stdout: string }) => error);
  const { resources } = JSON.parse(stdout) as { resources: { kind: string; name: string; status: string; msg: string }[] };
  const wrong = resources.filter(({ status }) => status !== "statusValid");
  return {
    valid: resources.length - wrong.length,
    problems: wrong.map(({ kind, name, status, msg }) => `${kind} ${name}: ${status} ${msg}`),
  };
}

/** What the controller makes of the chart's pod templates for a run. */
function runOf(manifests: readonly Manifest[]): unknown[] {
  const templates = parsePodTemplates(roleTemplatesText(manifests), "roles.yaml");
  const context = { namespace: "distill", templates, owner: "retort-roles", maxRestarts: 3 };
  const owner = { apiVersion: "batch/v1", kind: "Job", name: "run-learner", uid: "7d6c1c0e-0000-4000-8000-000000000000" };
  const set = { runId: "run", role: "student", replicas: 2 } as const;
  const monitor = { address: "retort-nats:8222", account: "$G" };
  return [
    learnerJob({ ...set, role: "learner", replicas: 1 }, undefined, context, owner),
    roleDeployment(set, undefined, context, owner, 0),
    roleDeployment({ ...set, role: "reward" }, undefined, context, owner, 1),
    roleDeployment({ ...set, role: "teacher", teacher: "default" }, undefined, context, owner, 1),
    scaledObject(set, context, owner, monitor),
  ];
}

describeChart("the manifests", () => {
  const set = ["serviceMonitor", "rules", "dashboards"].map((kind) => `metrics.${kind}.enabled=true`);

  it.each([undefined, ...examples])("are what Kubernetes' API takes: %s", async (example) => {
    const manifests = await render({ example, set });
    expect(manifests.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["PrometheusRule", "ServiceMonitor"]));
    expect(await validate(manifests)).toEqual({ valid: manifests.length, problems: [] });
  });

  it.each([undefined, ...examples])("of a run, made by the launcher, are too: %s", async (example) => {
    expect(await validate(runOf(await render({ example })))).toEqual({ valid: 5, problems: [] });
  });

  it("are all in the release's namespace, and of no kind that belongs to the whole cluster", async () => {
    const kinds = new Set((await render({ set })).map(({ kind }) => kind));
    expect([...kinds].filter((kind) => /^(Cluster|Namespace|CustomResource|PersistentVolume$|.*Webhook)/.test(kind))).toEqual([]);
  });

  it("have the Prometheus operator's kinds and dashboards only where they are asked for", async () => {
    const manifests = await render();
    expect(manifests.filter(({ kind }) => ["PrometheusRule", "ServiceMonitor"].includes(kind))).toEqual([]);
    expect(manifests.filter(({ metadata }) => metadata.name === "retort-dashboards")).toEqual([]);
  });
});

describeChart("kubeconform, as used here", () => {
  const pod = (spec: object) => ({ apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec });
  const containers = [{ name: "c", image: "i" }];

  it.each<[string, object, RegExp]>([
    ["a misspelt field", pod({ containers, nodeSelectr: {} }), /nodeSelectr/],
    ["a wrong type", pod({ containers: [{ name: "c", ports: [{ containerPort: "http" }] }] }), /containerPort/],
    ["a missing field", pod({ containers: [{ image: "i" }] }), /name/],
    [
      "a misspelt field of KEDA's",
      { apiVersion: "keda.sh/v1alpha1", kind: "ScaledObject", metadata: { name: "s" }, spec: { trigers: [] } },
      /trig/,
    ],
    [
      "a misspelt field of a rule",
      {
        apiVersion: "monitoring.coreos.com/v1",
        kind: "PrometheusRule",
        metadata: { name: "r" },
        spec: { groups: [{ name: "g", rulse: [] }] },
      },
      /rulse/,
    ],
    ["an unknown kind", { apiVersion: "v1", kind: "Pods", metadata: { name: "p" } }, /schema/],
  ])("finds %s", async (_, manifest, message) => {
    const { problems } = await validate([manifest]);
    expect(problems.join()).toMatch(message);
  });
});
