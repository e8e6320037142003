import { Metrics } from "../../services/shared/base/metrics.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { ServerMeters } from "../../services/teacher/backends/openai/meters.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";
import { Exposed } from "../support/tools/promql.js";
import { describeChart, find, type Manifest, render } from "./support/render.js";

const set = ["metrics.serviceMonitor.enabled=true", "metrics.rules.enabled=true", "metrics.dashboards.enabled=true"];

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A panel's query, with the labels that its legend shows. */
interface Target {
  readonly expr: string;
  readonly legendFormat: string;
}

const rulesOf = (manifests: readonly Manifest[]): Rule[] => find(manifests, "PrometheusRule", "retort").spec.groups[0].rules;

/** Every dashboard's queries, by its file. */
function targetsOf(manifests: readonly Manifest[]): [file: string, targets: Target[]][] {
  const files = Object.entries(find(manifests, "ConfigMap", "retort-dashboards").data as Record<string, string>);
  return files.map(([file, text]) => {
    const { panels } = JSON.parse(text) as { panels: { targets?: Target[] }[] };
    return [file, panels.flatMap(({ targets = [] }) => targets)];
  });
}

/** What Prometheus adds to the series of a pod: the operator's own labels, and those that the ServiceMonitor takes over. */
function scrapeLabels(manifests: readonly Manifest[]): string[] {
  const taken = find(manifests, "ServiceMonitor", "retort").spec.podTargetLabels as string[];
  const own = ["namespace", "pod", "container", "service", "endpoint", "instance", "job"];
  return [...own, ...taken.map((label) => label.replace(/[./-]/g, "_"))];
}

/** What NVIDIA's dcgm-exporter says of a GPU that a pod holds: etc/default-counters.csv and the README of its repository. */
const dcgm = ["GPU_UTIL", "FB_USED", "FB_FREE", "POWER_USAGE", "GPU_TEMP", "XID_ERRORS"]
  .map(
    (field) => `DCGM_FI_DEV_${field}{gpu="0",UUID="u",device="nvidia0",modelName="m",Hostname="h",container="c",namespace="n",pod="p"} 1`,
  )
  .join("\n");

const spec = tinySpec(
  "seen",
  `
rewards: [{ kind: exact_match }]
evaluation: { path: data/held-out.jsonl, limit: 8, everySteps: 4 }
checkpoints: { everySteps: 3 }
phases:
  - preset: rl_gkd
    steps: 8
    batchSize: 8
    lambda: 0.5
    objective: { alpha: 0.5 }
    sampling: { maxNewTokens: 8 }
`,
);

describeChart("dashboards and alerts", () => {
  let manifests: Manifest[];
  const exposed = new Exposed();
  beforeAll(async () => {
    manifests = await render({ set });
    const labels = scrapeLabels(manifests);
    const cluster = await LocalCluster.start();
    try {
      const runId = await cluster.begin(spec);
      const scrape = async () => {
        exposed.add(await cluster.metricsOfController(), labels);
        for (const role of ["learner", "reward", "student", "teacher"])
          for (const text of await cluster.metricsOf(runId, role).catch(() => [])) exposed.add(text, labels);
      };
      const timer = setInterval(() => void scrape().catch(() => {}), 50);
      const { run } = await cluster.watch(runId);
      clearInterval(timer);
      expect([run.state, run.message]).toEqual([RunState.SUCCEEDED, ""]);
    } finally {
      await cluster.stop();
    }
    // A teacher of a run that has its model on a server.
    const server = new Metrics("teacher", { run: "r", teacher: "t" });
    new ServerMeters(server).read(1, 1);
    exposed.add(await server.registry.metrics(), labels);
    exposed.add(dcgm);
  });

  it("ask for nothing that the processes of a run don't say", () => {
    const problems = targetsOf(manifests).flatMap(([file, targets]) =>
      targets.flatMap(({ expr, legendFormat }) => {
        const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label);
        return exposed.missing(expr, shown).map((problem) => `${file}: ${problem}`);
      }),
    );
    expect(problems).toEqual([]);
    expect(targetsOf(manifests).map(([, targets]) => targets.length)).toEqual([5, 6, 15, 18].map(() => expect.any(Number)));
    const alarms = rulesOf(manifests).flatMap(({ alert, expr, annotations }) => {
      const shown = [...JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g)].map(([, label = ""]) => label);
      return exposed.missing(expr, shown).map((problem) => `${alert}: ${problem}`);
    });
    expect(alarms).toEqual([]);
  });

  it("label every series of a run's processes with the run", () => {
    for (const metric of ["retort_learner_step", "retort_student_policy_version", "process_cpu_seconds_total"])
      expect(exposed.labelsOf(metric)).toContain("run");
    expect(exposed.labelsOf("retort_teacher_rollouts_total")).toContain("teacher");
  });
});
