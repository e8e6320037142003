import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import pc from "picocolors";
import { addCommand, print, wholeNumber } from "../cli/command.js";
import { tableOf } from "../cli/text-table.js";
import { RetortError } from "../shared/base/errors.js";
import { ownDirectory } from "../shared/base/own-directory.js";
import { experiments } from "./experiments/table.js";
import { type Experiment, quickened } from "./plan/experiment.js";
import { classifierJob, jobsOf, sftJob, teacherJob } from "./plan/jobs.js";
import { Places } from "./plan/places.js";
import { type Analysis, analyse } from "./report/analyse.js";
import { drawFigure, toPng } from "./report/charts.js";
import { allMarkdown, armTable, paragraph, reportMarkdown, type Start } from "./report/markdown.js";
import { storedClassifier } from "./run/classifier-job.js";
import { runJobs, workOf } from "./run/run-jobs.js";
import type { Terminal } from "./run/runs-progress.js";

interface Options {
  readonly seeds: number;
  readonly quick: boolean;
  readonly jobs: number;
  readonly dataDir: string;
  readonly out: string;
  /** Takes directories that hold files of others, too; they stay. */
  readonly force?: boolean;
  /** What people read while it runs. */
  readonly terminal: Terminal;
}

/** Adds `retort reproduce`. */
export function addReproduceCommand(program: Command): void {
  const known = Object.keys(experiments).join(", ");
  addCommand(program, "Start here:", "reproduce <name>", `the paper's experiments, small but real: ${known}, or all`, [
    ["reproduce divergences --quick", "fewer arms, steps and seeds, to see it work"],
    ["reproduce all", "every experiment with five seeds; goes on where it was interrupted"],
  ])
    .option("--seeds <n>", "seeds of every arm (default: 5, with --quick 2)", wholeNumber(1))
    .option("--quick", "fewer arms, steps and seeds: all experiments in about 20 minutes on two cores")
    .option("--jobs <n>", "runs side by side", wholeNumber(1), availableParallelism())
    .option("--data-dir <dir>", "directory for models and finished runs, which are never done again", ".retort/reproduce")
    .option("--out <dir>", "directory for tables and figures", "reproduction")
    .option("--force", "take directories that hold other files, too; they stay, but for those of the same names")
    .action(
      async (name: string, given: Partial<Pick<Options, "seeds" | "quick">> & Pick<Options, "jobs" | "dataDir" | "out" | "force">) => {
        const { quick = false, seeds = quick ? 2 : 5, jobs, force } = given;
        const options = { quick, seeds, jobs, force, dataDir: resolve(given.dataDir), out: resolve(given.out), terminal: process.stderr };
        const named = name === "all" ? Object.values(experiments) : Object.values(experiments).filter((one) => one.name === name);
        if (!named.length) throw new RetortError("InvalidArgument", `there is no experiment "${name}"; known: ${known}, all`);
        await ownOut(options);
        const chosen = quick ? named.map(quickened) : named;
        if (chosen.length > 1) await prepare(chosen, options);
        const reports: Report[] = [];
        for (const experiment of chosen) reports.push(await reproduce(experiment, options));
        if (chosen.length > 1) await writeFile(join(options.out, "report.md"), allMarkdown(reports));
        print(
          program,
          reports.map(({ result }) => result),
          "",
        );
      },
    );
}

/** The runs that make an experiment's models: teacher and SFT student of every part, and the classifier where there is one. */
const startsOf = ({ parts }: Experiment, places: Places) =>
  parts.map(({ recipe }) => ({
    teacher: teacherJob(recipe, places),
    student: sftJob(recipe, places),
    classifier: classifierJob(recipe, places),
  }));

/** Makes the models of all experiments, the longest first, so that no core is idle for long. */
async function prepare(chosen: readonly Experiment[], { dataDir, jobs, terminal, force }: Options): Promise<void> {
  const places = new Places(dataDir);
  const needed = chosen.flatMap((experiment) => startsOf(experiment, places).flatMap((start) => Object.values(start)));
  terminal.write(pc.bold("\nThe models that the experiments start from\n"));
  const known = needed.filter((job) => job !== undefined).sort((a, b) => workOf(b) - workOf(a));
  await runJobs(known, { places, sideBySide: jobs, terminal, force });
}

/** What came of an experiment. */
export interface Report {
  readonly analysis: Analysis;
  readonly markdown: string;
  readonly result: unknown;
}

/** Runs an experiment and writes its report: report.md, result.json and the figures as SVG and PNG. */
export async function reproduce(experiment: Experiment, options: Options): Promise<Report> {
  const { seeds, quick, jobs, dataDir, out, terminal, force } = options;
  await ownOut(options);
  const say = (text: string): unknown => terminal.write(`${text}\n`);
  say(pc.bold(`\n${experiment.name}: ${experiment.title}`));
  const places = new Places(dataDir);
  const arms = jobsOf(experiment, seeds, places);
  const starts = startsOf(experiment, places);
  const needed = [...starts.flatMap(({ teacher, student }) => [teacher, student]), ...arms.flatMap((arm) => arm.jobs)];
  const outcomes = await runJobs(needed, { places, sideBySide: experiment.alone ? 1 : jobs, terminal, force });
  const analysis = analyse(experiment, arms, outcomes);
  const models = await Promise.all(
    starts.map(
      async ({ teacher, student, classifier }): Promise<Start> => ({
        teacher: outcomes.get(teacher.digest)!,
        student: outcomes.get(student.digest)!,
        classifier: classifier && (await storedClassifier(classifier, places)),
      }),
    ),
  );
  const directory = join(out, experiment.name);
  await mkdir(directory, { recursive: true });
  const command = `retort reproduce ${experiment.name} --seeds ${seeds}${quick ? " --quick" : ""}`;
  const markdown = reportMarkdown(analysis, models, seeds, command);
  await writeFile(join(directory, "report.md"), markdown);
  const result = resultJson(analysis, command, seeds);
  await writeFile(join(directory, "result.json"), `${JSON.stringify(result, null, 1)}\n`);
  for (const part of analysis.parts)
    for (const figure of part.part.figures) {
      const svg = drawFigure(figure, part);
      const path = join(directory, `${part.part.recipe.name}-${figure.name}`);
      await writeFile(`${path}.svg`, svg);
      await writeFile(`${path}.png`, toPng(svg));
    }
  tell(analysis, terminal);
  say(`report, figures and numbers: ${directory}`);
  return { analysis, markdown, result };
}

/** Refuses a directory for the reports that is not ours, before anything is trained. */
const ownOut = ({ out, force }: Options): Promise<string> => ownDirectory(out, "report", { force });

function resultJson({ experiment, parts }: Analysis, command: string, seeds: number) {
  const { name, title } = experiment;
  return {
    ...{ name, title, command, seeds },
    parts: parts.map(({ part, arms, orderings }) => ({ task: part.recipe.name, arms, orderings })),
  };
}

function tell({ parts }: Analysis, terminal: Terminal): void {
  for (const part of parts) {
    const { head, rows } = armTable(part);
    terminal.write(`\n${part.part.recipe.name}\n${tableOf(head, rows, terminal)}\n`);
    for (const ordering of part.orderings) terminal.write(`${paragraph(ordering)}\n`);
  }
}
