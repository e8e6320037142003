/**
 * The chart's Grafana dashboards, as Grafana's JSON (schema 39): deploy/helm/retort/dashboards/, written by values-schema.ts.
 * What a panel asks for must be there: test/chart/monitoring.test.ts holds every query against what a run's processes say.
 */

/** How numbers are written, in Grafana's names. */
type Unit = "bytes" | "celsius" | "decmbytes" | "none" | "percent" | "percentunit" | "s" | "short" | "watt";

/** One query of a panel, and how its lines are called. */
type Query = readonly [expression: string, legend: string];

interface Panel {
  readonly title: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** What it means, where the title doesn't say it. */
  readonly description?: string;
  readonly max?: number;
}

/** Panels under a heading. */
interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** What a dashboard lets its reader choose. */
interface Variable {
  readonly name: string;
  readonly query: string;
  readonly multi: boolean;
}

const namespace: Variable = { name: "namespace", query: "label_values(retort_controller_runs, namespace)", multi: false };
const run: Variable = { name: "run", query: `label_values(retort_controller_run_state{namespace="$namespace"}, run)`, multi: true };

/** The series of the chosen runs. */
const of = (metric: string): string => `${metric}{namespace="$namespace", run=~"$run"}`;
/** The series of the release. */
const all = (metric: string): string => `${metric}{namespace="$namespace"}`;
const rate = (metric: string): string => `rate(${of(metric)}[$__rate_interval])`;
const quantile = (q: number, metric: string, by: string): string =>
  `histogram_quantile(${q}, sum by (le, ${by}) (${rate(`${metric}_bucket`)}))`;

const runs: readonly Row[] = [
  {
    title: "Where they are",
    panels: [
      {
        title: "Progress",
        unit: "percentunit",
        max: 1,
        queries: [[`${of("retort_learner_step")} / ${of("retort_learner_total_steps")}`, "{{run}}"]],
      },
      { title: "State", unit: "none", queries: [[of("retort_controller_run_state"), "{{run}}: {{state}}"]] },
      {
        title: "Who the learner waits for",
        unit: "s",
        description: "How long it has waited by now for results of this role, or for room on a disk.",
        queries: [[of("retort_learner_wait_seconds"), "{{run}}: {{waits_for}}"]],
      },
      {
        title: "Age of the newest checkpoint",
        unit: "s",
        queries: [[`time() - ${of("retort_learner_checkpoint_timestamp_seconds")}`, "{{run}}"]],
      },
    ],
  },
  {
    title: "What they learn",
    panels: [
      { title: "Loss", unit: "short", queries: [[of("retort_learner_loss"), "{{run}}"]] },
      { title: "Divergence (nats)", unit: "short", queries: [[of("retort_learner_divergence_nats"), "{{run}}"]] },
      { title: "Reward", unit: "short", queries: [[of("retort_learner_reward"), "{{run}}"]] },
      { title: "Entropy of the student (nats per token)", unit: "short", queries: [[of("retort_learner_entropy_nats"), "{{run}}"]] },
      { title: "Gradient norm", unit: "short", queries: [[of("retort_learner_gradient_norm"), "{{run}}"]] },
      { title: "Completion length (tokens)", unit: "short", queries: [[of("retort_learner_completion_length_tokens"), "{{run}}"]] },
    ],
  },
  {
    title: "How they go",
    panels: [
      {
        title: "Time of a step",
        unit: "s",
        queries: [
          [quantile(0.5, "retort_learner_step_duration_seconds", "run"), "{{run}}: median"],
          [quantile(0.95, "retort_learner_step_duration_seconds", "run"), "{{run}}: 95 %"],
        ],
      },
      {
        title: "Where a step's time goes",
        unit: "percentunit",
        description:
          "Share of the learner's time. Where `wait` is large, students or teachers are too few; where it is small, the learner is.",
        queries: [[`sum by (run, part) (${rate("retort_learner_step_part_seconds_total")})`, "{{run}}: {{part}}"]],
      },
      { title: "Tokens trained on per second", unit: "short", queries: [[rate("retort_learner_trained_tokens_total"), "{{run}}"]] },
      {
        title: "Age of the samples (policy versions)",
        unit: "short",
        queries: [
          [of("retort_learner_staleness_versions"), "{{run}}"],
          [of("retort_learner_staleness_bound_versions"), "{{run}}: bound"],
        ],
      },
      {
        title: "Mismatch of sampler and learner (KL, nats)",
        unit: "short",
        queries: [[of("retort_learner_mismatch_kl_nats"), "{{run}}"]],
      },
      {
        title: "Samples that failed",
        unit: "percentunit",
        queries: [
          [
            `${rate("retort_learner_failed_samples_total")} / (${rate("retort_learner_failed_samples_total")} + ${rate("retort_learner_trained_samples_total")})`,
            "{{run}}",
          ],
        ],
      },
    ],
  },
];

const members = ["learner", "reward", "student", "teacher"] as const;

const roles: readonly Row[] = [
  {
    title: "All roles",
    panels: [
      {
        title: "Busy",
        unit: "percentunit",
        max: 1,
        description:
          "Share of the time in which a process works. A role that is always busy holds the run up; one that never is costs more than it must.",
        queries: members.map((role): Query => [rate(`retort_${role}_busy_seconds_total`), `{{run}}: ${role} {{pod}}`]),
      },
      { title: "Cores", unit: "short", queries: [[rate("process_cpu_seconds_total"), "{{pod}}"]] },
      { title: "Memory", unit: "bytes", queries: [[of("process_resident_memory_bytes"), "{{pod}}"]] },
      {
        title: "Delay of the event loop (99 %)",
        unit: "s",
        description: "Models run in threads of their own, so this stays small whatever they do.",
        queries: [[of("nodejs_eventloop_lag_p99_seconds"), "{{pod}}"]],
      },
    ],
  },
  {
    title: "Students",
    panels: [
      {
        title: "Tokens sampled per second",
        unit: "short",
        queries: [[`sum by (run) (${rate("retort_student_sampled_tokens_total")})`, "{{run}}"]],
      },
      { title: "Time of a task (95 %)", unit: "s", queries: [[quantile(0.95, "retort_student_task_seconds", "run"), "{{run}}"]] },
      {
        title: "Versions behind the learner",
        unit: "short",
        queries: [
          [`max by (run) (${of("retort_learner_step")}) - on (run) group_right () ${of("retort_student_policy_version")}`, "{{pod}}"],
        ],
      },
    ],
  },
  {
    title: "Teachers and rewards",
    panels: [
      {
        title: "Tokens scored per second",
        unit: "short",
        queries: [[`sum by (run, teacher) (${rate("retort_teacher_scored_tokens_total")})`, "{{run}}: {{teacher}}"]],
      },
      {
        title: "Time to score a rollout (95 %)",
        unit: "s",
        queries: [[quantile(0.95, "retort_teacher_score_seconds", "run, teacher"), "{{run}}: {{teacher}}"]],
      },
      {
        title: "Scores found in the cache",
        unit: "percentunit",
        max: 1,
        queries: [
          [
            `sum by (run, teacher) (rate(retort_teacher_cache_lookups_total{namespace="$namespace", run=~"$run", outcome="hit"}[$__rate_interval])) / sum by (run, teacher) (${rate("retort_teacher_cache_lookups_total")})`,
            "{{run}}: {{teacher}}",
          ],
        ],
      },
      {
        title: "Cost of a teacher's server, per hour",
        unit: "short",
        queries: [[`sum by (run, teacher) (${rate("retort_teacher_server_cost_total")}) * 3600`, "{{run}}: {{teacher}}"]],
      },
      {
        title: "Completions rewarded per second",
        unit: "short",
        queries: [[`sum by (run) (${rate("retort_reward_completions_total")})`, "{{run}}"]],
      },
    ],
  },
];

const nats: readonly Row[] = [
  {
    title: "Queues",
    panels: [
      { title: "Messages that wait", unit: "short", queries: [[of("retort_controller_queue_messages"), "{{run}}: {{role}} {{teacher}}"]] },
      {
        title: "Messages in hand",
        unit: "short",
        queries: [[of("retort_controller_queue_in_hand_messages"), "{{run}}: {{role}} {{teacher}}"]],
      },
    ],
  },
  {
    title: "Storage",
    panels: [
      {
        title: "How full the streams are",
        unit: "percentunit",
        max: 1,
        description:
          "A stream that is full takes no more until what it holds is consumed: who writes to it waits. RETORT_EVENTS drops its oldest instead.",
        queries: [[`${all("retort_controller_stream_bytes")} / ${all("retort_controller_stream_limit_bytes")}`, "{{stream}}"]],
      },
      { title: "All that NATS stores, weights among it", unit: "bytes", queries: [[all("retort_controller_nats_stored_bytes"), "stored"]] },
      {
        title: "Disk of checkpoints and trained students",
        unit: "bytes",
        queries: [
          [all("retort_controller_disk_free_bytes"), "free"],
          [all("retort_controller_disk_size_bytes"), "size"],
        ],
      },
    ],
  },
];

/** GPUs are NVIDIA's dcgm-exporter's, which names the pod of each; its scrape must honour these labels. */
const gpu = "{{pod}}: {{modelName}} {{gpu}}";
const gpus: readonly Row[] = [
  {
    title: "GPUs of the pods of runs",
    panels: [
      { title: "Busy", unit: "percent", max: 100, queries: [[all("DCGM_FI_DEV_GPU_UTIL"), gpu]] },
      {
        title: "Memory",
        unit: "percentunit",
        max: 1,
        queries: [[`${all("DCGM_FI_DEV_FB_USED")} / (${all("DCGM_FI_DEV_FB_USED")} + ${all("DCGM_FI_DEV_FB_FREE")})`, gpu]],
      },
      { title: "Power", unit: "watt", queries: [[all("DCGM_FI_DEV_POWER_USAGE"), gpu]] },
      { title: "Temperature", unit: "celsius", queries: [[all("DCGM_FI_DEV_GPU_TEMP"), gpu]] },
      { title: "Last error (XID)", unit: "none", queries: [[all("DCGM_FI_DEV_XID_ERRORS"), gpu]] },
    ],
  },
];

/** Panels of a row beside each other, on a grid of 24 columns. */
const perLine = 3;
const [width, height] = [24 / perLine, 8];

/** Rows as Grafana places them: each heading, and its panels below it. */
function placed(rows: readonly Row[]): object[] {
  let y = 0;
  let id = 0;
  return rows.flatMap(({ title, panels }) => {
    const heading = { id: ++id, type: "row", title, collapsed: false, panels: [], gridPos: { x: 0, y, w: 24, h: 1 } };
    y++;
    const below = panels.map((panel, i) => {
      const gridPos = { x: (i % perLine) * width, y: y + Math.floor(i / perLine) * height, w: width, h: height };
      return { id: ++id, gridPos, ...drawn(panel) };
    });
    y += Math.ceil(panels.length / perLine) * height;
    return [heading, ...below];
  });
}

const datasource = { type: "prometheus", uid: "$datasource" };

const drawn = ({ title, unit, queries, description, max }: Panel) => ({
  type: "timeseries",
  title,
  ...(description ? { description } : {}),
  datasource,
  fieldConfig: {
    defaults: { unit, min: 0, ...(max ? { max } : {}), custom: { lineWidth: 1, fillOpacity: 5, showPoints: "never" } },
    overrides: [],
  },
  options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi", sort: "desc" } },
  targets: queries.map(([expr, legendFormat], i) => ({ refId: String.fromCharCode(65 + i), datasource, expr, legendFormat })),
});

const chosen = ({ name, query, multi }: Variable) => ({
  type: "query",
  name,
  datasource,
  query: { query, refId: name },
  definition: query,
  refresh: 2,
  sort: 1,
  multi,
  includeAll: multi,
  ...(multi ? { current: { text: "All", value: "$__all" } } : {}),
});

const dashboard = (name: string, title: string, variables: readonly Variable[], rows: readonly Row[]) => ({
  uid: `retort-${name}`,
  title: `Retort / ${title}`,
  tags: ["retort"],
  schemaVersion: 39,
  editable: true,
  refresh: "30s",
  time: { from: "now-3h", to: "now" },
  links: [{ type: "dashboards", title: "Retort", tags: ["retort"], asDropdown: true, includeVars: true, keepTime: true }],
  templating: { list: [{ type: "datasource", name: "datasource", query: "prometheus" }, ...variables.map(chosen)] },
  panels: placed(rows),
});

/** The dashboards by the names of their files. */
export const dashboards: Readonly<Record<string, object>> = {
  gpus: dashboard("gpus", "GPUs", [namespace], gpus),
  nats: dashboard("nats", "NATS and disk", [namespace, run], nats),
  roles: dashboard("roles", "Roles", [namespace, run], roles),
  runs: dashboard("runs", "Runs", [namespace, run], runs),
};
