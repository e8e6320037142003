import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RetortError } from "../shared/base/errors.js";
import { found } from "../shared/base/found.js";
import { ownDirectory } from "../shared/base/own-directory.js";
import { experiments } from "./experiments/table.js";
import { type Experiment, quickened } from "./plan/experiment.js";
import { classifierJob, jobsOf, sftJob, teacherJob } from "./plan/jobs.js";
import { Places } from "./plan/places.js";
import { type Analysis, analyse } from "./report/analyse.js";
import { openCharts } from "./report/charts.js";
import { allMarkdown, armTable, paragraph, type Start } from "./report/markdown.js";
import { type Report, writeReport } from "./report/write-report.js";
import { storedClassifier } from "./run/classifier-job.js";
import type { Host } from "./run/host.js";
import type { Outcome } from "./run/outcome.js";
import { runJobs, workOf } from "./run/run-jobs.js";

/** How experiments are run, and where they keep what they make. */
export interface ReproduceOptions {
  /** Of every arm, counted from 1. */
  readonly seeds: number;
  /** True: fewer arms and steps; see {@link quickened}. */
  readonly quick: boolean;
  /** Runs side by side. */
  readonly jobs: number;
  /** Directory for models and finished runs, absolute. */
  readonly dataDir: string;
  /** Directory for reports, absolute. */
  readonly out: string;
  /** Takes directories that hold files of others, too; they stay. */
  readonly force?: boolean;
  readonly host: Host;
}

/**
 * Runs the experiment of a name, or `all`, and writes the reports. Returns the numbers of each as JSON.
 *
 * @throws InvalidArgument if there is no such experiment; FailedPrecondition if a run fails, or charts cannot be drawn
 */
export async function reproduceNamed(name: string, options: ReproduceOptions): Promise<unknown[]> {
  const named = Object.values(experiments).filter((one) => name === "all" || one.name === name);
  const known = Object.keys(experiments).join(", ");
  if (!named.length) throw new RetortError("InvalidArgument", `there is no experiment "${name}"; known: ${known}, all`);
  await ownOut(options);
  const chosen = options.quick ? named.map(quickened) : named;
  if (chosen.length > 1) await prepare(chosen, options);
  const reports: Report[] = [];
  for (const experiment of chosen) reports.push(await reproduce(experiment, options));
  if (chosen.length > 1) await writeFile(join(options.out, "report.md"), allMarkdown(reports));
  return reports.map(({ result }) => result);
}

/** The jobs that make an experiment's models: teacher and SFT student of every part, and the classifier where there is one. */
const startsOf = ({ parts }: Experiment, places: Places) =>
  parts.map(({ recipe }) => ({
    teacher: teacherJob(recipe, places),
    student: sftJob(recipe, places),
    classifier: classifierJob(recipe, places),
  }));

/** Makes the models of all experiments, the longest first, so that no core is idle for long. */
async function prepare(chosen: readonly Experiment[], { dataDir, jobs, host, force }: ReproduceOptions): Promise<void> {
  await openCharts();
  const places = new Places(dataDir);
  const needed = chosen.flatMap((experiment) => startsOf(experiment, places).flatMap((start) => Object.values(start)));
  host.terminal.write(host.bold("\nThe models that the experiments start from\n"));
  const known = needed.filter((job) => job !== undefined).sort((a, b) => workOf(b) - workOf(a));
  await runJobs(known, { places, sideBySide: jobs, host, force });
}

/** Runs an experiment and writes its report: report.md, result.json and the figures as SVG and PNG. */
export async function reproduce(experiment: Experiment, options: ReproduceOptions): Promise<Report> {
  const { seeds, quick, jobs, dataDir, out, host, force } = options;
  await ownOut(options);
  // What cannot be drawn is known before hours of training.
  const charts = await openCharts();
  const say = (text: string): unknown => host.terminal.write(`${text}\n`);
  say(host.bold(`\n${experiment.name}: ${experiment.title}`));
  const places = new Places(dataDir);
  const arms = jobsOf(experiment, seeds, places);
  const starts = startsOf(experiment, places);
  const needed = [...starts.flatMap(({ teacher, student }) => [teacher, student]), ...arms.flatMap((arm) => arm.jobs)];
  const outcomes = await runJobs(needed, { places, sideBySide: experiment.alone ? 1 : jobs, host, force });
  const analysis = analyse(experiment, arms, outcomes);
  const models = await Promise.all(starts.map((start) => scored(start, outcomes, places)));
  const directory = join(out, experiment.name);
  const command = `retort reproduce ${experiment.name} --seeds ${seeds}${quick ? " --quick" : ""}`;
  const report = await writeReport(directory, charts, { analysis, models, seeds, command });
  tell(analysis, host);
  say(`report, figures and numbers: ${directory}`);
  return report;
}

/** The models that a part starts from, with what they score. */
async function scored(
  { teacher, student, classifier }: ReturnType<typeof startsOf>[number],
  outcomes: ReadonlyMap<string, Outcome>,
  places: Places,
): Promise<Start> {
  const outcomeOf = ({ digest, label }: { digest: string; label: string }) => found(outcomes.get(digest), `the outcome of ${label}`);
  return {
    teacher: outcomeOf(teacher),
    student: outcomeOf(student),
    classifier: classifier && (await storedClassifier(classifier, places)),
  };
}

/** Refuses a directory for the reports that is not ours, before anything is trained. */
const ownOut = ({ out, force }: ReproduceOptions): Promise<string> => ownDirectory(out, "report", { force });

function tell({ parts }: Analysis, { terminal, table }: Host): void {
  for (const part of parts) {
    const { head, rows } = armTable(part);
    terminal.write(`\n${part.part.recipe.name}\n${table(head, rows)}\n`);
    for (const ordering of part.orderings) terminal.write(`${paragraph(ordering)}\n`);
  }
}
