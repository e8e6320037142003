import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { stringify } from "yaml";
import { findGoTool, promtool } from "../support/tools/go-tool.js";
import { chartFile, describeChart, find, type Manifest, render } from "./support/render.js";

const run = promisify(execFile);
const binary = await findGoTool(promtool);
const describeAlerts = binary ? describeChart : describe.skip;

/** Series by their name and labels, with a value per minute as promtool writes them: `5x120` stays 5, `0+60x120` rises. */
type Series = Readonly<Record<string, string>>;

/** What makes an alert ring within two hours, the labels that it then has besides its own, and what doesn't. */
interface Case {
  readonly rings: Series;
  readonly labels?: string;
  readonly quiet: readonly Series[];
}

const going = (state: string) => ({ [`retort_controller_run_state{run="r",state="${state}"}`]: "1x120" });
const queue = (name: string) => `retort_controller_queue_${name}{run="r",role="teacher",teacher="t",stream="RETORT_ROLLOUTS"}`;
const learner = (name: string, more = "") => `retort_learner_${name}{run="r"${more}}`;
const stream = (name: string, of: string) => `retort_controller_stream_${name}{stream="${of}"}`;

const cases: Readonly<Record<string, Case>> = {
  RetortControllerAway: { rings: {}, quiet: [{ "retort_controller_disk_size_bytes{}": "1x120" }] },
  RetortDiskFull: {
    rings: { "retort_controller_disk_free_bytes{}": "5x120", "retort_controller_disk_size_bytes{}": "100x120" },
    quiet: [{ "retort_controller_disk_free_bytes{}": "50x120", "retort_controller_disk_size_bytes{}": "100x120" }],
  },
  RetortNoCheckpoint: {
    rings: { ...going("running"), [learner("checkpoint_timestamp_seconds")]: "60x120" },
    labels: `run="r"`,
    quiet: [
      { ...going("running"), [learner("checkpoint_timestamp_seconds")]: "7000x120" },
      { ...going("paused"), [learner("checkpoint_timestamp_seconds")]: "60x120" },
    ],
  },
  RetortQueueGrows: {
    rings: { [queue("messages")]: "1+1x120" },
    labels: `run="r",role="teacher",teacher="t",stream="RETORT_ROLLOUTS"`,
    quiet: [{ [queue("messages")]: "40x120" }, { [queue("messages")]: "120-1x120" }],
  },
  RetortQueueUnattended: {
    rings: { ...going("running"), [queue("messages")]: "5x120", [queue("in_hand_messages")]: "0x120" },
    labels: `run="r",role="teacher",teacher="t",stream="RETORT_ROLLOUTS"`,
    quiet: [
      { ...going("running"), [queue("messages")]: "5x120", [queue("in_hand_messages")]: "1x120" },
      { ...going("running"), [queue("messages")]: "0x120", [queue("in_hand_messages")]: "0x120" },
      { ...going("paused"), [queue("messages")]: "5x120", [queue("in_hand_messages")]: "0x120" },
    ],
  },
  RetortRunStalled: {
    rings: { [learner("wait_seconds", `,waits_for="teacher t"`)]: "0+60x120" },
    labels: `run="r",waits_for="teacher t"`,
    // It waits a minute for each step.
    quiet: [{ [learner("wait_seconds", `,waits_for="teacher t"`)]: "60x120" }],
  },
  RetortRunWithoutLearner: {
    rings: going("pending"),
    labels: `run="r",state="pending"`,
    quiet: [{ ...going("running"), [learner("step")]: "3x120" }, going("paused")],
  },
  RetortSamplesFail: {
    rings: { [learner("failed_samples_total")]: "0+1x120", [learner("trained_samples_total")]: "0+9x120" },
    labels: `run="r"`,
    quiet: [{ [learner("failed_samples_total")]: "0+1x120", [learner("trained_samples_total")]: "0+99x120" }],
  },
  RetortStalenessAtBound: {
    rings: { [learner("staleness_versions")]: "2x120", [learner("staleness_bound_versions")]: "2x120" },
    labels: `run="r"`,
    quiet: [
      { [learner("staleness_versions")]: "1.5x120", [learner("staleness_bound_versions")]: "2x120" },
      // A synchronous run.
      { [learner("staleness_versions")]: "0x120", [learner("staleness_bound_versions")]: "0x120" },
    ],
  },
  RetortStreamFull: {
    rings: { [stream("bytes", "RETORT_RESULTS")]: "95x120", [stream("limit_bytes", "RETORT_RESULTS")]: "100x120" },
    labels: `stream="RETORT_RESULTS"`,
    quiet: [
      { [stream("bytes", "RETORT_RESULTS")]: "50x120", [stream("limit_bytes", "RETORT_RESULTS")]: "100x120" },
      { [stream("bytes", "RETORT_EVENTS")]: "100x120", [stream("limit_bytes", "RETORT_EVENTS")]: "100x120" },
    ],
  },
};

/** The series in a namespace. */
const inNamespace = (series: Series, namespace: string) =>
  Object.entries(series).map(([name, values]) => ({
    series: name.replace("{", `{namespace="${namespace}",`).replace(",}", "}"),
    values,
  }));

/** promtool's words for: after two hours of these series the alert rings, with these labels, or doesn't. */
const expectation = (alert: string, series: object, ringing: readonly string[]) => ({
  interval: "1m",
  input_series: series,
  promql_expr_test: [
    {
      expr: `ALERTS{alertname="${alert}",alertstate="firing"}`,
      eval_time: "2h",
      exp_samples: ringing.map((labels) => ({ labels: `ALERTS{alertname="${alert}",alertstate="firing",${labels}}`, value: 1 })),
    },
  ],
});

describeAlerts("an alert", () => {
  let directory: string;
  let rule: Manifest;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-alerts-"));
    rule = find(await render({ set: ["metrics.rules.enabled=true"] }), "PrometheusRule", "retort");
    await writeFile(join(directory, "rules.yaml"), stringify(rule.spec));
  });
  afterAll(() => rm(directory, { recursive: true }));

  async function check(tests: readonly object[]): Promise<void> {
    await writeFile(join(directory, "test.yaml"), stringify({ rule_files: ["rules.yaml"], evaluation_interval: "1m", tests }));
    await run(binary!, ["test", "rules", join(directory, "test.yaml")]).catch((error: { stdout: string; stderr: string }) => {
      throw new Error(error.stdout + error.stderr);
    });
  }

  const names = () => (rule.spec.groups[0].rules as { alert: string; labels: { severity: string } }[]).map(({ alert }) => alert);
  const severityOf = (alert: string) =>
    (rule.spec.groups[0].rules as { alert: string; labels: { severity: string } }[]).find((one) => one.alert === alert)!.labels.severity;

  it("is written as Prometheus reads it, sentences included", async () => {
    await run(binary!, ["check", "rules", join(directory, "rules.yaml")]);
    expect(names().sort()).toEqual(Object.keys(cases));
  });

  it.each(Object.keys(cases))("%s rings where it should, in its own namespace", async (alert) => {
    const { rings, labels } = cases[alert]!;
    const wanted = [`namespace="distill"`, `severity="${severityOf(alert)}"`, ...(labels ? [labels] : [])].join(",");
    await check([
      expectation(alert, inNamespace(rings, "distill"), [wanted]),
      ...(Object.keys(rings).length > 0 ? [expectation(alert, inNamespace(rings, "other"), [])] : []),
    ]);
  });

  it.each(Object.keys(cases))("%s stays quiet where it should", async (alert) => {
    await check(cases[alert]!.quiet.map((series) => expectation(alert, inNamespace(series, "distill"), [])));
  });

  it("has the severity that the values give it", async () => {
    const set = ["metrics.rules.enabled=true", 'metrics.rules.severities={"RetortDiskFull":"critical"}'];
    const { spec } = find(await render({ set }), "PrometheusRule", "retort");
    const critical = spec.groups[0].rules.filter(({ labels }: { labels: { severity: string } }) => labels.severity === "critical");
    expect(critical.map(({ alert }: { alert: string }) => alert)).toEqual(["RetortDiskFull"]);
  });

  it("is explained in the chart's README", async () => {
    const readme = await readFile(chartFile("README.md"), "utf8");
    for (const alert of names()) expect(readme).toContain(`| \`${alert}\` `);
  });
});
